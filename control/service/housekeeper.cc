// The background thread of the control plane.
#include "control/service/housekeeper.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <set>
#include <vector>

#include "control/service/boot.h"
#include "control/side_by_side.h"

namespace crossfade {

namespace {

constexpr auto kHousekeeperRound = std::chrono::seconds(1);
constexpr std::uint64_t kRoundsBetweenLearning = 3;
constexpr std::uint64_t kRoundsBetweenTries = 30;
constexpr std::uint64_t kFirstLearning = 1;  // they were asked at the start

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
  const std::vector<EndpointPtr> each(unknown.begin(), unknown.end());
  side_by_side(each.size(), [&](std::size_t i) { ask(servers, *each[i]); });
}

void put_learned_in_force(Keeper& keeper) {
  Keeper::Turn turn = keeper.begin();  // nothing changes but what the table is built from
  if (!keeper.outdated(turn.next)) return;
  if (const Status status = keeper.commit(turn); !status) {
    spdlog::warn("what servers told is not in force: {}", status.error().message());
  }
}

void Housekeeper::start() {
  rounds_.start(kHousekeeperRound, [this] { work(); });
}

void Housekeeper::stop() {
  if (!rounds_.stop()) return;
  new_only_writes_.save_exactly();
  if (keeper_.store_again()) return;
  spdlog::error(
      "the end, and what is in force is not stored: {}; a start goes by what the store has",
      keeper_.unstored());
}

// Nobody may change anything for days, and a way back is to be stored when it is needed.
void Housekeeper::try_file() {
  const bool due = round_ % kRoundsBetweenTries == 0;
  if (due || file_.failure()) (void)file_.try_to_write();
  const auto failure = file_.failure();
  if (failure.has_value() == file_failed_) return;
  file_failed_ = failure.has_value();
  if (failure) {
    spdlog::error(
        "the state file can not be written: {}; until it can, no change is made, and no "
        "way back is stored: make room for it",
        *failure);
  } else {
    spdlog::info("the state file can be written again");
  }
}

void Housekeeper::work() {
  (void)keeper_.store_again();
  try_file();
  new_only_writes_.sample();
  dual_writes_.sample();
  open_late_ports(keeper_, listeners_);
  if (round_++ % kRoundsBetweenLearning != kFirstLearning) return;
  learn_from_servers(*keeper_.state(), servers_);
  put_learned_in_force(keeper_);
}

}  // namespace crossfade
