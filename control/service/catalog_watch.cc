// The thread that asks for catalogs.
#include "control/service/catalog_watch.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <vector>

#include "control/background.h"
#include "control/service/housekeeper.h"

namespace crossfade {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kBreath{500};  // after a round: many definitions change together
constexpr int kSpared = 20;  // times as long as a question takes, where nobody is in a hurry
constexpr std::size_t kAskedAtOnce = 16;  // servers, each by a thread that mostly waits

// Where the catalog decides which side a statement goes to.
bool routes_by_catalog(const State& state, const InterlayDefinition& interlay) {
  const MigrationPtr migration = migration_of(state, interlay.identity.uuid);
  return migration != nullptr && routes(migration->status) &&
         migration->status != MigrationStatus::Completed;
}

std::vector<EndpointPtr> to_ask(const State& state, const std::set<std::string>* rung) {
  std::set<EndpointPtr> endpoints;
  for (const auto& [uuid, interlay] : state.interlays) {
    const EndpointPtr& endpoint = state.endpoints.at(interlay->endpoint);
    if (endpoint->address.kind != EndpointKind::Postgres) continue;
    const bool wanted = rung == nullptr ? routes_by_catalog(state, *interlay)
                                        : rung->contains(interlay->identity.id);
    if (wanted) endpoints.insert(endpoint);
  }
  return {endpoints.begin(), endpoints.end()};
}

// Of interlays that are no more nobody reads anything.
void forget_gone(const State& state, const std::set<std::string>* rung, CatalogBell& bell) {
  if (rung == nullptr) return;
  std::set<std::string> gone = *rung;
  for (const auto& [uuid, interlay] : state.interlays) gone.erase(interlay->identity.id);
  for (const std::string& id : gone) bell.read(id);
}

// Returns those that have not answered.
std::set<EndpointPtr> ask_all(const std::vector<EndpointPtr>& endpoints, Catalogs& catalogs,
                              const std::stop_token& stop) {
  std::mutex mutex;
  std::set<EndpointPtr> silent;
  for (std::size_t next = 0; next < endpoints.size() && !stop.stop_requested();) {
    std::vector<std::jthread> asking;
    for (; next < endpoints.size() && asking.size() < kAskedAtOnce; ++next) {
      asking.emplace_back([&, endpoint = endpoints[next]] {
        if (catalogs.read(*endpoint, kCatalogTimeout_ms, stop)) return;
        const std::lock_guard held(mutex);
        silent.insert(endpoint);
      });
    }
  }
  return silent;
}

}  // namespace

void CatalogWatch::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    give_way();
    work(stop);
  });
}

void CatalogWatch::stop() {
  thread_.request_stop();
  bell_->end();
  if (thread_.joinable()) thread_.join();
}

void CatalogWatch::work(const std::stop_token& stop) {
  auto next_round = steady_clock::now() + pause_;
  while (bell_->wait_until(next_round)) {
    const std::set<std::string> rung = bell_->take();
    const bool all = steady_clock::now() >= next_round;
    const auto began = steady_clock::now();
    if (!rung.empty()) look(&rung, stop);
    if (!rung.empty()) bell_->spare(kSpared * (steady_clock::now() - began));
    if (all) {
      look(nullptr, stop);
      next_round = steady_clock::now() + pause_;
    }
    if (!bell_->rest(std::min(kBreath, pause_))) return;
  }
}

void CatalogWatch::look(const std::set<std::string>* rung, const std::stop_token& stop) {
  const StatePtr state = keeper_.state();
  forget_gone(*state, rung, *bell_);
  Catalogs& catalogs = servers_.catalogs();
  const std::vector<EndpointPtr> endpoints = to_ask(*state, rung);
  if (endpoints.empty()) return;
  const std::set<EndpointPtr> silent = ask_all(endpoints, catalogs, stop);
  if (stop.stop_requested()) return;
  catalogs.drop_unused(*state);
  // Made here, and not in a turn that others wait for.
  for (const auto& [uuid, interlay] : state->interlays) {
    (void)catalogs.of(*interlay, *state->endpoints.at(interlay->endpoint));
  }
  put_learned_in_force(keeper_);
  // What was learned is in force only if it was put there after the table before was confirmed.
  if (!keeper_.confirmed() || keeper_.outdated(*keeper_.state())) return;
  for (const auto& [uuid, interlay] : state->interlays) {
    const EndpointPtr& endpoint = state->endpoints.at(interlay->endpoint);
    const bool asked = std::ranges::find(endpoints, endpoint) != endpoints.end();
    if (asked && !silent.contains(endpoint)) bell_->read(interlay->identity.id);
  }
}

}  // namespace crossfade
