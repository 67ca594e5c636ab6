// The background thread of the control plane.
#include "control/service/housekeeper.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <set>
#include <thread>
#include <vector>

namespace crossfade {

namespace {

constexpr auto kRound = std::chrono::seconds(1);
constexpr std::uint64_t kRoundsBetweenLearning = 3;
constexpr std::uint64_t kFirstLearning = 1;  // they were asked at the start
constexpr std::size_t kAskedAtOnce = 16;     // servers, each by a thread that mostly waits

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
  rounds_.start(kRound, [this] { work(); });
}

void Housekeeper::stop() {
  if (rounds_.stop()) new_only_writes_.save_exactly();
}

void Housekeeper::work() {
  new_only_writes_.sample();
  dual_writes_.sample();
  if (round_++ % kRoundsBetweenLearning != kFirstLearning) return;
  learn_from_servers(*keeper_.state(), servers_);
  put_learned_in_force(keeper_);
}

}  // namespace crossfade
