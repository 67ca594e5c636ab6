// Marks set before a table is handed out, and taken away after its last write.
#include "control/service/dual_writes.h"

#include <spdlog/spdlog.h>

#include <set>

#include "control/endpoint_pair.h"
#include "control/service/watched_servers.h"

namespace crossfade {

namespace {

// Between two of them more than a round passes: what ends between the ending of its second leg and
// the answer of its first is done by then.
constexpr int kRoundsAtRest = 2;

bool in_flight(const Telemetry& telemetry, const State& state, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const auto interlay = state.interlays.find(binding.interlay);
    if (interlay == state.interlays.end()) continue;
    for (const InterlayTraffic& traffic : telemetry.interlays) {
      if (traffic.id != interlay->second->identity.id) continue;
      const SecondCounts& writes = traffic.second[1];
      std::uint64_t ended = writes.answered;
      for (const std::uint64_t dropped : writes.dropped) ended += dropped;
      if (ended < writes.eligible) return true;
    }
  }
  return false;
}

std::set<std::uint64_t> pairs_of(const State& state, const Migration& migration) {
  std::set<std::uint64_t> pairs;
  for (const Binding& binding : migration.bindings) {
    pairs.insert(pair_of(sides_of(state, binding)));
  }
  return pairs;
}

}  // namespace

DualWrites::DualWrites(Ledger& ledger, Keeper& keeper, const Servers& servers,
                       const DataPlane& data_plane)
    : ledger_(ledger), keeper_(keeper), servers_(servers), data_plane_(data_plane) {
  keeper_.set_precaution([this](const State& next) { return mark(next); });
}

void DualWrites::restore() {
  std::vector<Ledger::Name> names;
  std::set<std::string> new_right;
  for (const auto& [uuid, migration] : keeper_.state()->migrations) {
    names.push_back({uuid, migration->identity.id});
    if (authority_of(migration->spec.strategy) == Side::New) new_right.insert(uuid);
  }
  ledger_.take_up(names, new_right);
}

Status DualWrites::mark(const State& next) {
  const StatePtr before = keeper_.state();
  for (const auto& [uuid, migration] : next.migrations) {
    if (!writes_both(*migration)) {
      marked_.erase(uuid);
      continue;
    }
    // In the first table of a process: what was in force in the one before.
    const auto former = before->migrations.find(uuid);
    const bool in_force = former != before->migrations.end() && writes_both(*former->second);
    const bool known = in_force || marked_.contains(uuid);  // by an earlier call for this table
    const auto before_it = known ? Ledger::Before::InForce : Ledger::Before::NotInForce;
    const Side right = authority_of(migration->spec.strategy).value_or(Side::Old);
    if (Status status = ledger_.begin({uuid, migration->identity.id}, before_it, right); !status) {
      // What is in force already goes on: nobody is to lose the service for the lack of a mark. The
      // migration says by now that it needs full verification.
      if (!in_force) return status;
      spdlog::error("migration {}: is not marked as writing to both sides: {}",
                    migration->identity.id, status.error().message());
    }
    // Only of what was asked for this beginning: later the watch knows better.
    if (!known && writes_both_by(*migration, Engine::Effect)) note_servers(next, *migration);
    if (in_force) note_moved(*before, next, *migration);
    ledger_.set_pairs(uuid, pairs_of(next, *migration));
    marked_.insert(uuid);
    const std::lock_guard held(mutex_);
    at_rest_.erase(uuid);
  }
  return success();
}

// Whoever moved one: the API, or the configuration file, also while no process was there.
void DualWrites::note_moved(const State& before, const State& next, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const EndpointPair sides = sides_of(next, binding);
    for (const Side side : {Side::Old, Side::New}) {
      const Endpoint& endpoint = *sides[static_cast<std::size_t>(side)];
      const auto former = before.endpoints.find(endpoint.identity.uuid);
      if (former == before.endpoints.end()) continue;
      if (same_place(former->second->address, endpoint.address)) continue;
      ledger_.moved(migration.identity.id, side, endpoint.identity.id);
    }
  }
}

void DualWrites::note_servers(const State& next, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const EndpointPair sides = sides_of(next, binding);
    for (const Side side : {Side::Old, Side::New}) {
      const Endpoint& endpoint = *sides[static_cast<std::size_t>(side)];
      const auto sight = servers_.sight_of(endpoint);
      if (sight) ledger_.saw(migration.identity.id, ledger_server(side, endpoint.address, *sight));
    }
  }
}

void DualWrites::sample() {
  const StatePtr state = keeper_.state();
  const Telemetry telemetry = data_plane_.telemetry();
  for (const auto& [uuid, migration] : state->migrations) {
    if (writes_both(*migration) || !ledger_.is_open(uuid)) continue;
    if (keeper_.unstored(uuid)) continue;  // the next process would begin where the store stands
    // A loop that has not taken the last table over may still plan by the one before.
    const bool busy = !keeper_.confirmed() || in_flight(telemetry, *state, *migration);
    if (rested(uuid, busy)) take_away(uuid);
  }
}

bool DualWrites::rested(const std::string& uuid, bool busy) {
  const std::lock_guard held(mutex_);
  int& rounds = at_rest_[uuid];
  rounds = busy ? 0 : rounds + 1;
  return rounds >= kRoundsAtRest;
}

void DualWrites::take_away(const std::string& uuid) {
  const Keeper::Turn turn = keeper_.begin();  // nobody publishes a table meanwhile
  const auto migration = turn.next.migrations.find(uuid);
  const bool again = migration != turn.next.migrations.end() && writes_both(*migration->second);
  if (again || !keeper_.confirmed()) return;
  ledger_.end(uuid);
  const std::lock_guard held(mutex_);
  at_rest_.erase(uuid);
}

}  // namespace crossfade
