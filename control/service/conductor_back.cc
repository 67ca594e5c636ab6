// The ways back to old: by a call, by itself, and of one interlay alone. None hangs on the disk.
#include <spdlog/spdlog.h>

#include "control/ledger/reasons.h"
#include "control/service/conductor.h"
#include "control/service/listing.h"
#include "control/service/migration_steps.h"
#include "control/service/migrations.h"
#include "control/service/right_side.h"
#include "control/service/towards_old.h"

namespace crossfade {

namespace {

//   lost  what a server of old has lost, which new may have; empty: nothing that is known
std::string rollback_sentence(const NewOnlyWrites::Count& count, const std::string& lost) {
  const std::string left = left_on_new(count);
  return "rolled back: all traffic is on old" +
         (left.empty() ? ", no write went to new only" : "; " + left) +
         (lost.empty() ? "" : "; but " + lost + ", and may be on new");
}

// What is so while a way back is in force and not in the store.
std::string unstored_words(const Keeper::Unstored& unstored) {
  return "; this is in force, and not stored: " + unstored.why +
         ". It is tried again each second; until it is stored no other change is, and a restart "
         "has the migration as the store has it, in status " +
         name_of(unstored.stored->status) +
         ": make room for the state file, and call again to have it confirmed";
}

}  // namespace

Answer Conductor::rollback(const std::string& reference, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  return roll_back(turn, *current, call.actor);
}

Answer Conductor::roll_back(Keeper::Turn& turn, const Migration& migration,
                            const std::string& actor, const std::string& why) {
  const std::string uuid = migration.identity.uuid;
  const bool again = migration.status == MigrationStatus::RolledBack && keeper_.unstored(uuid);
  if (!again && migration.status != MigrationStatus::RollingBack) {
    if (!may_move(migration.status, MigrationStatus::RollingBack)) {
      return refuse(forbidden_move(migration.status, MigrationStatus::RollingBack));
    }
    if (const InterlayDefinition* interlay = settled_interlay(turn.next, migration)) {
      return conflict(
          "Interlay '" + interlay->identity.id +
          "' stands before the new side for good: there is no way back in this migration");
    }
    set_executed(turn, uuid, false);
    set_ramp_back(turn, uuid, actor);
    set_status(turn, uuid, MigrationStatus::RollingBack, actor, why);
  }
  // Not taken back when a loop is late: the operator wants traffic off new, and each loop obeys as
  // soon as it wakes. The call can be made again.
  const MigrationPtr before = keeper_.state()->migrations.at(uuid);
  const Status in_force = keeper_.commit(turn, Keeper::Way::Back);
  if (!in_force && in_force.error().code != Errc::Timeout) return refuse(in_force.error());
  const auto unstored = came_back_unstored(*before);
  if (!in_force) {
    const std::string disk = unstored ? "not stored (" + unstored->why + ")" : "on disk";
    return unavailable(in_force.error().message() + "; the rollback is " + disk +
                       " and every loop that answers obeys it: call rollback again to have it "
                       "confirmed");
  }
  if (again) return rolled_back(uuid, new_only_writes_.count(*before), before->reason);
  return end_rollback(turn, uuid, actor);
}

// After a restart, writes would go to both sides again: the ledger is to know of the time between.
std::optional<Keeper::Unstored> Conductor::came_back_unstored(const Migration& before) {
  auto unstored = keeper_.unstored(before.identity.uuid);
  if (unstored && writes_both(before)) {
    ledger_.note_all(before.identity.id, kBackUnstored, nullptr);
  }
  return unstored;
}

Answer Conductor::end_rollback(Keeper::Turn& turn, const std::string& uuid,
                               const std::string& actor) {
  new_only_writes_.settle(*turn.next.migrations.at(uuid));
  const auto count = new_only_writes_.count(*turn.next.migrations.at(uuid));
  const std::string why = turn.next.migrations.at(uuid)->reason;
  const auto summary = ledger_.summary(uuid);
  const std::string sentence =
      (why.empty() || why == kRollback ? "" : why + "; ") +
      rollback_sentence(count, summary ? what_was_lost(Side::Old, *summary) : std::string());
  set_status(turn, uuid, MigrationStatus::RolledBack, actor, sentence);
  // The table is in force already.
  if (const Status status = keeper_.commit(turn, Keeper::Way::Back); !status) {
    return refuse(status.error());
  }
  return rolled_back(uuid, count, sentence);
}

Answer Conductor::rolled_back(const std::string& uuid, const NewOnlyWrites::Count& count,
                              const std::string& sentence) const {
  const MigrationPtr migration = keeper_.state()->migrations.at(uuid);
  const auto unstored = keeper_.unstored(uuid);
  Json told = Json::object({{"id", migration->identity.id},
                            {"uuid", uuid},
                            {"status", name_of(migration->status)},
                            {"epoch", keeper_.epoch()},
                            {"new_only_writes", count.writes},
                            {"new_only_writes_exact", count.exact}});
  if (!unstored) {
    told.set("message", sentence);
    return Reply{.data = std::move(told)};
  }
  told.set("stored_status", name_of(unstored->stored->status));
  Refusal refusal = unavailable(sentence + unstored_words(*unstored));
  refusal.beside.set("data", std::move(told));
  return refusal;
}

Answer Conductor::cancel(const std::string& reference, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  const bool started = routes(current->status) || current->status == MigrationStatus::RollingBack;
  const bool goes_back = started && current->status != MigrationStatus::Completed;
  if (goes_back || keeper_.unstored(current->identity.uuid)) {
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
  if (count.writes > 0) {
    migration.reason += "; at least " + std::to_string(count.writes) +
                        " of its writes went to new only and are not on old";
  } else if (!count.exact) {
    migration.reason += "; whether its writes went to new only, and are not on old, is not known";
  }
  turn.journal(uuid, actor, name_of(seen.status), name_of(seen.status), migration.reason);
  turn.touch(migration.identity);
  put(turn.next.migrations, std::move(migration));
  const Status status = keeper_.commit(turn, Keeper::Way::Back);
  if (!status) return refuse(status.error());
  const auto unstored = keeper_.unstored(uuid);
  if (!unstored) return moved(seen.identity, seen.status);
  return unavailable("interlay '" + turn.next.interlays.at(interlay)->identity.id + "' is on old" +
                     unstored_words(*unstored));
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
