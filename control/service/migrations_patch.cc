// Migrations changed: what servers say against it, and what becomes doubtful by it.
#include "control/ledger/reasons.h"
#include "control/service/audit.h"
#include "control/service/fewer_keys.h"
#include "control/service/listing.h"
#include "control/service/migration_rules.h"
#include "control/service/migrations.h"
#include "control/service/patch_rules.h"
#include "control/service/preflight.h"
#include "control/service/right_side.h"
#include "control/service/server_pairs.h"
#include "control/service/towards_old.h"

namespace crossfade {

Migrations::Asked Migrations::to_ask(const Migration& current, const MigrationSpec& patched,
                                     const Self& self,
                                     const std::optional<Ledger::Summary>& summary) {
  return {.version = current.identity.version,
          .flips = routes(current.status) && everything_on_new(patched.strategy, self) &&
                   !everything_on_new(current.spec.strategy, self),
          .hands_over = hands_over_to_new(current, patched.strategy, summary)};
}

// Outside of the turn: asking servers may take seconds.
Migrations::Asked Migrations::ask_before_patch(const std::string& reference, const Json& body,
                                               bool force) {
  const StatePtr state = keeper_.state();
  const MigrationPtr current = find(state->migrations, reference);
  if (current == nullptr) return {};
  auto spec = patch_migration(current->spec, body);
  if (!spec) return {};
  const auto summary = ledger_.summary(current->identity.uuid);
  Asked asked = to_ask(*current, *spec, keeper_.self(), summary);
  if ((asked.flips || asked.hands_over) && !force) {
    asked.gone = gone_new(*state, *current, servers_);
  }
  if (asked.hands_over && !force) {
    asked.fewer = fewer_keys(*state, *current, Side::New, ledger_, servers_);
    // Where old has lost some it is made like new, which is what is wanted then.
    if (authority_of(spec->strategy) == Side::New && what_was_lost(Side::Old, *summary).empty()) {
      asked.more = fewer_keys(*state, *current, Side::Old, ledger_, servers_);
    }
  }
  if (begins_to_write_both(*current, *spec)) {
    ask_who_is_there(*state, with_spec(*current, std::move(*spec)), servers_);
  }
  return asked;
}

// Up to now, where it matters.
NewOnlyWrites::Count Migrations::count_on_new_alone(const Migration& migration,
                                                    const MigrationSpec& patched) {
  if (!begins_to_write_both(migration, patched) && !takes_back(migration, patched)) return {};
  new_only_writes_.sample();
  return new_only_writes_.count(migration);
}

// Once `next` is in force: writes by the former table have gone on until it was replaced.
void Migrations::note_doubts(const Migration& former, const MigrationSpec& next) {
  const std::string& id = former.identity.id;
  if (!check_right_side(former, next, ledger_)) ledger_.note_all(id, kMadeRight, nullptr);
  if (is_on_new_alone(former, next, count_on_new_alone(former, next))) {
    ledger_.was_alone(id);
    if (authority_of(next.strategy) == Side::New && old_has_writes_alone(former.spec.strategy)) {
      ledger_.note_all(id, kMadeRight, nullptr);
    }
  }
}

Answer Migrations::patch(const std::string& reference, const Json& body, const Call& call) {
  const Asked asked = ask_before_patch(reference, body, call.force);
  Handover handover;
  Answer answer = patch_in_turn(reference, body, call, asked, handover);
  if (handover.former != nullptr && call.force) {
    // Not before: force is for those who can not wait for servers, and none holds up a turn.
    const Migration& former = *handover.former;
    const std::string fewer = fewer_keys(*handover.state, former, Side::New, ledger_, servers_);
    if (!fewer.empty()) ledger_.note_all(former.identity.id, kByForce + fewer, nullptr);
  }
  return answer;
}

Answer Migrations::patch_in_turn(const std::string& reference, const Json& body, const Call& call,
                                 const Asked& asked, Handover& handover) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  const Identity& identity = current->identity;
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  auto spec = patch_migration(current->spec, body);
  if (!spec) return refuse(spec.error());
  if (const auto objection = strategy_objection(turn.next, with_spec(*current, *spec))) {
    return bad_request(*objection);
  }
  if (const Status status = check_patch(turn.next, *current, *spec, call); !status)
    return refuse(status.error());
  if (const auto objection = window_objection(*current, *spec, keeper_.now())) {
    return conflict(*objection);
  }
  if (const auto objection = alone_objection(*current, *spec, count_on_new_alone(*current, *spec));
      objection && !call.force) {
    return conflict(*objection);
  }
  if (begins_to_write_both(*current, *spec)) {
    const auto pairs = pair_checks(turn.next, with_spec(*current, *spec), servers_);
    if (!passed(pairs) && !call.force) {
      return refusal_of("migration '" + identity.id + "' may not write to both sides", pairs);
    }
  }
  const Asked needed = to_ask(*current, *spec, keeper_.self(), ledger_.summary(identity.uuid));
  if (!call.force && (needed.flips || needed.hands_over) && asked.version != needed.version) {
    return changed_meanwhile(kMigrationWord, identity.id);
  }
  if (!asked.gone.empty()) {
    return conflict((needed.flips ? "Everything would be sent to new" : "New would take over") +
                    std::string(", which is not there: ") + asked.gone +
                    ". Wait for it, or use ?force=true");
  }
  const MigrationSpec next = *spec;
  if (!(next == current->spec)) {
    const Status right = check_right_side(*current, *spec, ledger_);
    if (!right && !call.force) return refuse(right.error());
    if (!asked.fewer.empty()) {
      return conflict("New would do without what old has: " + asked.fewer +
                      ". Dual writes bring what is written, not what was there before. Verify the "
                      "migration while old is right, which copies it (POST …/verify), or use "
                      "?force=true");
    }
    if (!asked.more.empty()) {
      return conflict("New is no copy of old, and old would be made like it: " + asked.more +
                      ". Verify the migration while old is right (POST …/verify), which makes new "
                      "like old, or use ?force=true");
    }
    if (!right) ledger_.note_all(identity.id, kMadeRight, nullptr);
    turn.journal(identity.uuid, call.actor, name_of(current->status), name_of(current->status),
                 migration_change(current->spec, next) +
                     taken_back_words(count_on_new_alone(*current, next)));
    Migration patched = with_spec(*current, std::move(*spec));
    turn.touch(patched.identity);
    put(turn.next.migrations, std::move(patched));
    if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
    note_doubts(*current, next);
    if (needed.hands_over) handover = {keeper_.state(), current};
  }
  const StatePtr state = keeper_.state();
  const Migration& now = *state->migrations.at(identity.uuid);
  Json data = shown(*state, now, call.verbose);
  data.set("epoch", keeper_.epoch());
  if (takes_back(*current, next)) {
    const NewOnlyWrites::Count count = count_on_new_alone(*current, next);
    data.set("new_only_writes", count.writes);
    data.set("new_only_writes_exact", count.exact);
  }
  return Reply{.data = std::move(data), .etag = etag_of(now.identity)};
}

}  // namespace crossfade
