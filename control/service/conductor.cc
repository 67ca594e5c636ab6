// From ready to running to rolled back, each step one turn of the keeper.
#include "control/service/conductor.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/features.h"
#include "control/json/write.h"
#include "control/service/listing.h"
#include "control/service/migration_rules.h"
#include "control/service/migrations.h"
#include "control/service/server_pairs.h"

namespace crossfade {

namespace {

// Sets the status in the turn's state, with its line in the journal.
void set_status(Keeper::Turn& turn, const std::string& uuid, MigrationStatus to,
                const std::string& actor, const std::string& reason) {
  Migration migration = *turn.next.migrations.at(uuid);
  turn.journal(uuid, actor, name_of(migration.status), name_of(to), reason);
  migration.status = to;
  migration.reason = reason.substr(0, kReasonMax);
  turn.touch(migration.identity);
  put(turn.next.migrations, std::move(migration));
}

// Of a time_window; others have nothing to be executed.
void set_executed(Keeper::Turn& turn, const std::string& uuid, bool executed) {
  Migration migration = *turn.next.migrations.at(uuid);
  auto* window = std::get_if<TimeWindowSpec>(&migration.spec.strategy);
  if (window == nullptr || window->executed == executed) return;
  window->executed = executed;
  turn.touch(migration.identity);
  put(turn.next.migrations, std::move(migration));
}

void take_all_along(Keeper::Turn& turn, const std::string& uuid) {
  Migration migration = *turn.next.migrations.at(uuid);
  for (Binding& binding : migration.bindings) binding.taken_back = false;
  put(turn.next.migrations, std::move(migration));
}

void note_force(Keeper::Turn& turn, const std::string& uuid, bool forced) {
  Migration migration = *turn.next.migrations.at(uuid);
  migration.forced = forced;
  put(turn.next.migrations, std::move(migration));
}

std::string how_started(const Migration& migration, const Call& call) {
  std::string how = call.force ? "started by force" : "started";
  if (const auto* window = std::get_if<TimeWindowSpec>(&migration.spec.strategy)) {
    how += "; everything stays on old until " + rfc3339(window->window_start);
  }
  return how;
}

// The first interlay that another migration has got hold of since this one was rolled back.
bool held_by_another(const State& state, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const MigrationPtr holder = migration_of(state, binding.interlay);
    if (holder != nullptr && holder->identity.uuid != migration.identity.uuid) return true;
  }
  return false;
}

bool api_held_by_another(const State& state, const Migration& migration) {
  return std::ranges::any_of(migration.apis, [&](const ApiBinding& part) {
    const MigrationPtr holder = migration_of_api(state, part.api);
    return holder != nullptr && holder->identity.uuid != migration.identity.uuid;
  });
}

// An interlay that was settled before the new side has no way back in this migration.
const InterlayDefinition* settled_interlay(const State& state, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const InterlayPtr interlay = state.interlays.at(binding.interlay);
    if (interlay->endpoint == binding.endpoint) return interlay.get();
  }
  return nullptr;
}

bool stands_as(const State& state, const Migration& seen) {
  const auto found = state.migrations.find(seen.identity.uuid);
  return found != state.migrations.end() &&
         found->second->identity.version == seen.identity.version;
}

std::string rollback_sentence(const NewOnlyWrites::Count& count) {
  if (count.writes == 0 && count.exact) {
    return "rolled back: all traffic is on old, no write went to new only";
  }
  return "rolled back: all traffic is on old; " + std::string(count.exact ? "" : "at least ") +
         std::to_string(count.writes) + " writes went to new only and are not on old";
}

Refusal test_failed(const Migration& migration, const std::vector<Check>& checks) {
  return refusal_of("the test of migration '" + migration.identity.id + "' failed", checks);
}

}  // namespace

// The right to start one migration, held by at most one call.
class Conductor::Claim {
 public:
  Claim(Conductor& conductor, const std::string& uuid) : conductor_(conductor), uuid_(uuid) {
    const std::lock_guard held(conductor_.claims_mutex_);
    granted_ = conductor_.claims_.insert(uuid_).second;
  }
  ~Claim() {
    if (!granted_) return;
    const std::lock_guard held(conductor_.claims_mutex_);
    conductor_.claims_.erase(uuid_);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  bool granted() const { return granted_; }

 private:
  Conductor& conductor_;
  const std::string uuid_;
  bool granted_ = false;
};

Answer Conductor::test(const std::string& reference) {
  const StatePtr state = keeper_.state();
  const MigrationPtr migration = find(state->migrations, reference);
  if (migration == nullptr) return not_found(kMigrationWord, reference);
  const std::vector<Check> checks =
      preflight(*state, *migration, keeper_.self(), clock_(), servers_);
  Json rendered = Json::array();
  for (const Check& check : checks) rendered.push(render(check));
  return Reply{.data =
                   Json::object({{"valid", passed(checks)},
                                 {"apis_tested", std::uint64_t{migration->apis.size()}},
                                 {"interlays_tested", std::uint64_t{migration->bindings.size()}},
                                 {"checks", std::move(rendered)}})};
}

Answer Conductor::migrate(const std::string& reference, const Call& call) {
  const StatePtr state = keeper_.state();
  const MigrationPtr seen = find(state->migrations, reference);
  if (seen == nullptr) return not_found(kMigrationWord, reference);
  const Claim claim(*this, seen->identity.uuid);
  if (!claim.granted()) {
    return conflict("Migration '" + seen->identity.id + "' is being started by another call");
  }
  // Paused is resumed, not started: its strategy routes already.
  if (!may_move(seen->status, MigrationStatus::Running) ||
      seen->status == MigrationStatus::Paused) {
    return refuse(forbidden_move(seen->status, MigrationStatus::Running));
  }
  // Outside of the turn: asking servers may take seconds, and a rollback elsewhere must not wait.
  const std::vector<Check> checks = preflight(*state, *seen, keeper_.self(), clock_(), servers_);
  if (!passed(checks) && !call.force) return test_failed(*seen, checks);
  return start(*seen, call);
}

Answer Conductor::start(const Migration& seen, const Call& call) {
  const std::string& uuid = seen.identity.uuid;
  Keeper::Turn turn = keeper_.begin();
  const auto current = turn.next.migrations.find(uuid);
  if (current == turn.next.migrations.end()) return not_found(kMigrationWord, seen.identity.id);
  // What was tested is what starts.
  if (current->second->identity.version != seen.identity.version) {
    return changed_meanwhile(kMigrationWord, seen.identity.id);
  }
  if (held_by_another(turn.next, seen)) return interlay_held();
  if (api_held_by_another(turn.next, seen)) return api_held();
  // Not by force either: the requests of its apis would go where they should not.
  if (const Check apis = check_apis(turn.next, seen); !apis.ok) return test_failed(seen, {apis});
  // Nor with users that were set since it was defined or ran last.
  if (const auto objection = strategy_objection(turn.next, seen)) return conflict(*objection);
  if (const InterlayDefinition* interlay = settled_interlay(turn.next, seen)) {
    return conflict("Interlay '" + interlay->identity.id + "' stands before the new side already");
  }
  // Another one may have started since this one was tested.
  const std::vector<Check> pairs = pair_checks(turn.next, seen, servers_);
  if (!passed(pairs) && !call.force) return test_failed(seen, pairs);
  const auto* window = std::get_if<TimeWindowSpec>(&seen.spec.strategy);
  if (window != nullptr && clock_() >= window->window_end) {
    return conflict("the window of migration '" + seen.identity.id + "' ended at " +
                    rfc3339(window->window_end) + ": PATCH window_start and window_end");
  }
  set_executed(turn, uuid, false);
  take_all_along(turn, uuid);
  set_status(turn, uuid, MigrationStatus::Running, call.actor, how_started(seen, call));
  note_force(turn, uuid, call.force);
  if (std::holds_alternative<BigBangSpec>(seen.spec.strategy) &&
      all_on_new(turn.next, *turn.next.migrations.at(uuid), keeper_.self())) {
    set_status(turn, uuid, MigrationStatus::Completed, call.actor, "everything is on new");
  }
  const NewOnlyWrites::Counts former = new_only_writes_.begin(seen);
  if (const Status status = keeper_.commit(turn); !status) {
    const bool stands = keeper_.state()->migrations.at(uuid)->status != seen.status;
    if (!stands) new_only_writes_.take_back(former);
    return refuse(status.error());
  }
  return Reply{.data = "migration commit completed",
               .beside = Json::object({{"epoch", keeper_.epoch()}})};
}

Answer Conductor::move(const std::string& reference, const Call& call, MigrationStatus to,
                       const char* reason, const Objection& objection) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  if (!may_move(current->status, to)) return refuse(forbidden_move(current->status, to));
  if (auto refusal = objection(*current)) return *refusal;
  set_status(turn, current->identity.uuid, to, call.actor, reason);
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(current->identity, to);
}

Answer Conductor::moved(const Identity& identity, MigrationStatus to) const {
  return Reply{.data = Json::object({{"id", identity.id},
                                     {"uuid", identity.uuid},
                                     {"status", name_of(to)},
                                     {"epoch", keeper_.epoch()}})};
}

Answer Conductor::pause(const std::string& reference, const Call& call) {
  return move(reference, call, MigrationStatus::Paused, "paused; routing stays as it is",
              [](const Migration&) { return std::optional<Refusal>(); });
}

Answer Conductor::resume(const std::string& reference, const Call& call) {
  return move(reference, call, MigrationStatus::Running, "resumed",
              [](const Migration& migration) -> std::optional<Refusal> {
                // What does not route yet is started by `migrate`, with its tests.
                if (migration.status == MigrationStatus::Paused) return std::nullopt;
                return refuse(forbidden_move(migration.status, MigrationStatus::Running));
              });
}

Answer Conductor::complete(const std::string& reference, const Call& call) {
  return move(
      reference, call, MigrationStatus::Completed, "completed",
      [this](const Migration& migration) -> std::optional<Refusal> {
        if (all_on_new(*keeper_.state(), migration, keeper_.self())) return std::nullopt;
        const Error forbidden = forbidden_move(migration.status, MigrationStatus::Completed);
        return conflict(forbidden.message() +
                        ": its strategy still sends traffic to old, and completing moves none");
      });
}

Answer Conductor::rollback(const std::string& reference, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  return roll_back(turn, *current, call.actor);
}

Answer Conductor::roll_back(Keeper::Turn& turn, const Migration& migration,
                            const std::string& actor, const std::string& why) {
  const std::string uuid = migration.identity.uuid;
  if (migration.status != MigrationStatus::RollingBack) {
    if (!may_move(migration.status, MigrationStatus::RollingBack)) {
      return refuse(forbidden_move(migration.status, MigrationStatus::RollingBack));
    }
    if (const InterlayDefinition* interlay = settled_interlay(turn.next, migration)) {
      return conflict(
          "Interlay '" + interlay->identity.id +
          "' stands before the new side for good: there is no way back in this migration");
    }
    set_executed(turn, uuid, false);
    set_status(turn, uuid, MigrationStatus::RollingBack, actor, why);
  }
  // Not taken back when a loop is late: the operator wants traffic off new, and each loop obeys as
  // soon as it wakes. The call can be made again.
  const Status in_force = keeper_.commit(turn, Keeper::OnTimeout::KeepForward);
  if (!in_force && in_force.error().code != Errc::Timeout) return refuse(in_force.error());
  if (!in_force) {
    return unavailable(in_force.error().message() +
                       "; the rollback is on disk and every loop that answers obeys it: call "
                       "rollback again to have it confirmed");
  }
  return end_rollback(turn, uuid, actor);
}

Answer Conductor::end_rollback(Keeper::Turn& turn, const std::string& uuid,
                               const std::string& actor) {
  new_only_writes_.settle(*turn.next.migrations.at(uuid));
  const auto count = new_only_writes_.count(*turn.next.migrations.at(uuid));
  const std::string why = turn.next.migrations.at(uuid)->reason;
  const std::string sentence =
      (why.empty() || why == kRollback ? "" : why + "; ") + rollback_sentence(count);
  set_status(turn, uuid, MigrationStatus::RolledBack, actor, sentence);
  if (const Status status = keeper_.make_durable(turn); !status) {
    return unavailable(
        status.error().message() +
        "; all traffic is on old, the status stays rolling_back: call rollback again");
  }
  keeper_.show(turn);
  const Migration& migration = *turn.next.migrations.at(uuid);
  return Reply{.data = Json::object({{"id", migration.identity.id},
                                     {"uuid", uuid},
                                     {"status", name_of(migration.status)},
                                     {"epoch", keeper_.epoch()},
                                     {"new_only_writes", count.writes},
                                     {"new_only_writes_exact", count.exact},
                                     {"message", sentence}})};
}

Answer Conductor::cancel(const std::string& reference, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  const bool started = routes(current->status) || current->status == MigrationStatus::RollingBack;
  if (started && current->status != MigrationStatus::Completed) {
    return roll_back(turn, *current, call.actor);
  }
  if (!may_move(current->status, MigrationStatus::RolledBack)) {
    return refuse(forbidden_move(current->status, MigrationStatus::RolledBack));
  }
  set_status(turn, current->identity.uuid, MigrationStatus::RolledBack, call.actor,
             "cancelled before it started");
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(current->identity, MigrationStatus::RolledBack);
}

Answer Conductor::execute(const Migration& seen, const std::string& how) {
  const std::string& uuid = seen.identity.uuid;
  // Outside of the turn, as for a start.
  const std::vector<Check> checks =
      preflight(*keeper_.state(), seen, keeper_.self(), clock_(), servers_);
  if (!passed(checks) && !seen.forced) return test_failed(seen, checks);
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return changed_meanwhile(kMigrationWord, seen.identity.id);
  set_executed(turn, uuid, true);
  if (all_on_new(turn.next, *turn.next.migrations.at(uuid), keeper_.self())) {
    set_status(turn, uuid, MigrationStatus::Completed, kOurselves, how + "; everything is on new");
  } else {
    turn.journal(uuid, kOurselves, name_of(seen.status), name_of(seen.status), how);
  }
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(seen.identity, keeper_.state()->migrations.at(uuid)->status);
}

Answer Conductor::step(const Migration& seen, double share) {
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return changed_meanwhile(kMigrationWord, seen.identity.id);
  Migration stepped = seen;
  auto& canary = std::get<CanarySpec>(stepped.spec.strategy);
  turn.journal(seen.identity.uuid, kOurselves, name_of(seen.status), name_of(seen.status),
               "ramp: read_percentage goes from " + to_text(Json(canary.read_percentage)) + " to " +
                   to_text(Json(share)));
  canary.read_percentage = share;
  turn.touch(stepped.identity);
  put(turn.next.migrations, std::move(stepped));
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(seen.identity, seen.status);
}

Answer Conductor::take_back(const Migration& seen, const std::string& why,
                            const std::string& actor) {
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return changed_meanwhile(kMigrationWord, seen.identity.id);
  return roll_back(turn, seen, actor, why);
}

Answer Conductor::take_back_interlay(const Migration& seen, const std::string& interlay,
                                     const std::string& why, const std::string& actor) {
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return changed_meanwhile(kMigrationWord, seen.identity.id);
  const std::string& uuid = seen.identity.uuid;
  Migration migration = seen;
  for (Binding& binding : migration.bindings) {
    if (binding.interlay == interlay) binding.taken_back = true;
  }
  new_only_writes_.sample();
  const auto count = new_only_writes_.count(uuid, interlay);
  migration.reason = why + "; interlay '" + turn.next.interlays.at(interlay)->identity.id +
                     "' goes back to old, the others go on";
  if (count.writes > 0 || !count.exact) {
    migration.reason += "; at least " + std::to_string(count.writes) +
                        " of its writes went to new only and are not on old";
  }
  turn.journal(uuid, actor, name_of(seen.status), name_of(seen.status), migration.reason);
  turn.touch(migration.identity);
  put(turn.next.migrations, std::move(migration));
  // As a rollback: not taken back when a loop is late.
  const Status status = keeper_.commit(turn, Keeper::OnTimeout::KeepForward);
  if (!status) return refuse(status.error());
  return moved(seen.identity, seen.status);
}

Answer Conductor::hold(const Migration& seen, const std::string& why, const std::string& actor) {
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return changed_meanwhile(kMigrationWord, seen.identity.id);
  if (!may_move(seen.status, MigrationStatus::Paused)) {
    return refuse(forbidden_move(seen.status, MigrationStatus::Paused));
  }
  set_status(turn, seen.identity.uuid, MigrationStatus::Paused, actor, why);
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(seen.identity, MigrationStatus::Paused);
}

void Conductor::note(const Migration& seen, const std::string& what, const std::string& actor) {
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return;
  Migration migration = seen;
  migration.reason = what.substr(0, kReasonMax);  // its version stays: nothing is changed by it
  turn.journal(seen.identity.uuid, actor, name_of(seen.status), name_of(seen.status), what);
  put(turn.next.migrations, std::move(migration));
  if (const Status status = keeper_.make_durable(turn); !status) {
    spdlog::warn("migration {}: {}", seen.identity.id, status.error().message());
    return;
  }
  keeper_.show(turn);
}

void Conductor::finish_rollbacks() {
  const StatePtr state = keeper_.state();
  for (const auto& [uuid, migration] : state->migrations) {
    if (migration->status != MigrationStatus::RollingBack) continue;
    Keeper::Turn turn = keeper_.begin();
    const Answer answer = roll_back(turn, *migration, kOurselves);
    if (const auto* refusal = std::get_if<Refusal>(&answer)) {
      spdlog::warn("migration {}: {}", migration->identity.id, refusal->message);
    }
  }
}

}  // namespace crossfade
