// The rules of patch_rules.h.
#include "control/service/patch_rules.h"

#include <algorithm>

#include "control/definitions/identity.h"
#include "control/service/migration_apis.h"
#include "control/service/migration_rules.h"
#include "control/service/right_side.h"

namespace crossfade {

namespace {

// By whom keys are split while their writes move: a feature_flag by the interlay's users, all
// others by key.
UserSource splits_by(const InterlayDefinition& interlay, EndpointKind kind,
                     const StrategySpec& strategy) {
  const bool by_users = std::holds_alternative<FeatureFlagSpec>(strategy);
  return by_users ? user_of(kind, interlay.user) : UserSource{.from = UserFrom::Key};
}

bool same_users(const State& state, const Migration& migration, const StrategySpec& patched) {
  return std::ranges::all_of(migration.bindings, [&](const Binding& binding) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    const EndpointKind kind = state.endpoints.at(interlay.endpoint)->address.kind;
    return kind != EndpointKind::Redis ||
           splits_by(interlay, kind, migration.spec.strategy) == splits_by(interlay, kind, patched);
  });
}

}  // namespace

Error cannot_change(const char* what, MigrationStatus status) {
  return Error{
      Errc::Conflict, "",
      std::string("Cannot change ") + what + " of migration in status: " + title_of(status)};
}

Migration with_spec(const Migration& migration, MigrationSpec spec) {
  Migration patched = migration;
  patched.spec = std::move(spec);
  return patched;
}

Status check_patch(const State& state, const Migration& migration, const MigrationSpec& patched,
                   const Call& call) {
  const MigrationStatus status = migration.status;
  const MigrationSpec& spec = migration.spec;
  if (!(patched.data == spec.data) && (routes(status) || status == MigrationStatus::RollingBack)) {
    return cannot_change("data", status);
  }
  if (patched.strategy == spec.strategy) return success();
  if (status == MigrationStatus::Completed || status == MigrationStatus::RollingBack) {
    return cannot_change("strategy", status);
  }
  const bool other_type = patched.strategy.index() != spec.strategy.index();
  if (routes(status) && other_type &&
      (is_executed(patched.strategy) || is_executed(spec.strategy))) {
    return cannot_change("strategy.type", status);
  }
  if (const auto unroutable = apis_objection(state, with_spec(migration, patched));
      routes(status) && unroutable) {
    return Error{Errc::Conflict, "", "strategy: " + *unroutable};
  }
  if (routes(status) && moves_writes(spec.strategy) && moves_writes(patched.strategy) &&
      !same_users(state, migration, patched.strategy)) {
    return Error{Errc::Conflict, "",
                 "strategy.type: other users, or other keys, would have their writes on new; PATCH "
                 "settings.user of the interlay so that it says the same, or roll back first"};
  }
  const bool some_back = std::ranges::any_of(migration.bindings, &Binding::taken_back);
  if (some_back && dual_writes(patched.strategy)) {
    return Error{Errc::Conflict, "",
                 "strategy: an interlay of this migration was taken back to old, where its writes "
                 "would go to one side unseen by those to both; roll back and start again"};
  }
  const auto objection = history_objection(patched.strategy);
  if (routes(status) && objection && !call.force) {
    return Error{
        Errc::Conflict, "",
        "strategy: " + *objection + "; raise write_percentage with it, or PATCH with ?force=true"};
  }
  return success();
}

Status check_right_side(const Migration& migration, const MigrationSpec& patched,
                        const Ledger& ledger) {
  const auto known = ledger.summary(migration.identity.uuid);
  const auto objection = right_side_objection(migration, patched.strategy, known);
  if (!objection) return success();
  const char* member =
      dual_writes(patched.strategy) ? "strategy.write_mode.policy: " : "strategy.write_mode: ";
  return Error{Errc::Conflict, "",
               member + *objection +
                   " (GET …/divergence), or PATCH with ?force=true: the migration then needs full "
                   "verification"};
}

std::optional<std::string> window_objection(const Migration& migration,
                                            const MigrationSpec& patched, std::int64_t now) {
  const auto* before = std::get_if<TimeWindowSpec>(&migration.spec.strategy);
  const auto* after = std::get_if<TimeWindowSpec>(&patched.strategy);
  if (!routes(migration.status) || before == nullptr || after == nullptr) return std::nullopt;
  if (after->window_end != before->window_end && after->window_end <= now) {
    return "strategy.window_end: " + rfc3339(after->window_end) +
           " has passed, and the migration would be taken back at once: that is what rollback is "
           "for";
  }
  if (after->executed && after->window_start != before->window_start && after->window_start > now) {
    return "strategy.window_start: the migration has been executed already, and is not undone by "
           "that: roll back first";
  }
  return std::nullopt;
}

bool begins_to_write_both(const Migration& migration, const MigrationSpec& patched) {
  return routes(migration.status) && !dual_writes(migration.spec.strategy) &&
         dual_writes(patched.strategy);
}

bool is_on_new_alone(const Migration& migration, const MigrationSpec& patched,
                     const NewOnlyWrites::Count& count) {
  if (!begins_to_write_both(migration, patched)) return false;
  return count.writes > 0 || (!count.exact && moves_writes(migration.spec.strategy));
}

std::optional<std::string> alone_objection(const Migration& migration, const MigrationSpec& patched,
                                           const NewOnlyWrites::Count& count) {
  if (!is_on_new_alone(migration, patched, count)) return std::nullopt;
  if (authority_of(patched.strategy) != Side::Old) {
    if (!old_has_writes_alone(migration.spec.strategy)) return std::nullopt;
    return "strategy.write_mode.policy: some writes went to old alone and others to new alone, and "
           "whichever side is right lacks some: let all go to one side first, roll back, or PATCH "
           "with ?force=true: the migration then needs full verification";
  }
  return "strategy.write_mode.policy: " + std::string(count.exact ? "" : "at least ") +
         std::to_string(count.writes) +
         " writes went to new alone, and old would be asked for their keys, and made right by, "
         "instead: " +
         (migration.apis.empty()
              ? "begin with policy new_authoritative, and verify before old is made right"
              : "policy new_authoritative goes with a migration without apis only") +
         "; roll back, or PATCH with ?force=true: the migration then needs full verification";
}

}  // namespace crossfade
