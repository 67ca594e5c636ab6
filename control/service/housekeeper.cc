// The background thread of the control plane.
#include "control/service/housekeeper.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <set>
#include <vector>

namespace crossfade {

namespace {

constexpr auto kRound = std::chrono::seconds(1);
constexpr int kRoundsBetweenLearning = 3;
constexpr std::size_t kAskedAtOnce = 16;  // servers, each by a thread that mostly waits

void ask(Servers& servers, const Endpoint& endpoint) {
  if (endpoint.address.kind == EndpointKind::Postgres) {
    servers.catalogs().read(endpoint, kLearnTimeout_ms);
    return;
  }
  const auto told = servers.ask(endpoint.identity.uuid, endpoint.address, kLearnTimeout_ms);
  if (told) return;
  spdlog::debug("endpoint {}: commands not learned: {}", endpoint.identity.id,
                told.error().message());
}

}  // namespace

void learn_from_servers(const State& state, Servers& servers) {
  std::set<EndpointPtr> unknown;
  for (const auto& [uuid, interlay] : state.interlays) {
    const EndpointPtr& endpoint = state.endpoints.at(interlay->endpoint);
    if (!servers.has_told(*endpoint)) unknown.insert(endpoint);
  }
  for (auto next = unknown.begin(); next != unknown.end();) {
    std::vector<std::thread> asking;
    for (; next != unknown.end() && asking.size() < kAskedAtOnce; ++next) {
      asking.emplace_back([&servers, endpoint = *next] { ask(servers, *endpoint); });
    }
    for (std::thread& one : asking) one.join();
  }
}

void put_learned_in_force(Keeper& keeper) {
  Keeper::Turn turn = keeper.begin();  // nothing changes but what the table is built from
  if (!keeper.outdated(turn.next)) return;
  if (const Status status = keeper.commit(turn); !status) {
    spdlog::warn("what servers told is not in force: {}", status.error().message());
  }
}

void Housekeeper::start() {
  thread_ = std::thread([this] { work(); });
}

void Housekeeper::stop() {
  {
    const std::lock_guard held(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return;
  thread_.join();
  new_only_writes_.save_exactly();
}

bool Housekeeper::wait() {
  std::unique_lock held(mutex_);
  return !wake_.wait_for(held, kRound, [this] { return ending_; });
}

void Housekeeper::work() {
  for (int round = 0; wait(); ++round) {
    new_only_writes_.sample();
    dual_writes_.sample();
    if (round % kRoundsBetweenLearning != 0) continue;
    learn_from_servers(*keeper_.state(), servers_);
    put_learned_in_force(keeper_);
  }
}

}  // namespace crossfade
