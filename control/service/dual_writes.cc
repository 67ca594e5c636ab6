// Marks set before a table is handed out, and taken away after its last write.
#include "control/service/dual_writes.h"

#include <spdlog/spdlog.h>

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

}  // namespace

DualWrites::DualWrites(Ledger& ledger, Keeper& keeper, const Servers& servers,
                       const DataPlane& data_plane)
    : ledger_(ledger), keeper_(keeper), servers_(servers), data_plane_(data_plane) {
  keeper_.set_precaution([this](const State& next) { return mark(next); });
}

void DualWrites::restore() {
  std::vector<Ledger::Name> names;
  for (const auto& [uuid, migration] : keeper_.state()->migrations) {
    names.push_back({uuid, migration->identity.id});
  }
  ledger_.take_up(names);
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
    if (Status status = ledger_.begin({uuid, migration->identity.id},
                                      known ? Ledger::Before::InForce : Ledger::Before::NotInForce);
        !status) {
      // What is in force already goes on: nobody is to lose the service for the lack of a mark. The
      // migration says by now that it needs full verification.
      if (!in_force) return status;
      spdlog::error("migration {}: is not marked as writing to both sides: {}",
                    migration->identity.id, status.error().message());
    }
    // Only of what was asked for this beginning: later the watch knows better.
    if (!known && writes_both_by(*migration, Engine::Effect)) note_servers(next, *migration);
    if (in_force) note_moved(*before, next, *migration);
    marked_.insert(uuid);
    const std::lock_guard held(mutex_);
    at_rest_.erase(uuid);
  }
  return success();
}

// Whoever moved one: the API, or the configuration file, also while no process was there.
void DualWrites::note_moved(const State& before, const State& next, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    for (const std::string& uuid :
         {next.interlays.at(binding.interlay)->endpoint, binding.endpoint}) {
      const Endpoint& endpoint = *next.endpoints.at(uuid);
      const auto former = before.endpoints.find(uuid);
      if (former == before.endpoints.end()) continue;
      if (same_place(former->second->address, endpoint.address)) continue;
      ledger_.moved(migration.identity.id, endpoint.identity.id);
    }
  }
}

void DualWrites::note_servers(const State& next, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *next.interlays.at(binding.interlay);
    for (const std::string& uuid : {interlay.endpoint, binding.endpoint}) {
      const Endpoint& endpoint = *next.endpoints.at(uuid);
      const auto sight = servers_.sight_of(endpoint);
      if (sight) ledger_.saw(migration.identity.id, ledger_server(endpoint.address, *sight));
    }
  }
}

void DualWrites::sample() {
  const StatePtr state = keeper_.state();
  const Telemetry telemetry = data_plane_.telemetry();
  for (const auto& [uuid, migration] : state->migrations) {
    if (writes_both(*migration) || !ledger_.is_open(uuid)) continue;
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
