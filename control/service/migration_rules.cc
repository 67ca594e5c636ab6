// The rules of migration_rules.h.
#include "control/service/migration_rules.h"

#include <algorithm>
#include <map>
#include <string>

#include "control/features.h"

namespace crossfade {

namespace {

constexpr const char* kWritesFollow =
    "strategy.write_mode: is needed for PostgreSQL with a read_percentage between 0 and 1: writes "
    "would follow reads, and one database's history would be split in two. Give {\"mode\": "
    "\"dual_write\", \"policy\": …, \"engine\": \"statement\"}, or {\"mode\": \"cutover\", "
    "\"write_percentage\": 0.0} (or 1.0)";

constexpr const char* kHistorySplit =
    "strategy.write_mode.write_percentage: must be 0.0 or 1.0 for PostgreSQL: a share between them "
    "would split one database's history in two, each side with rows that the other does not have";

constexpr const char* kEngineNeeded =
    "strategy.write_mode.engine: is needed for PostgreSQL. \"statement\" runs every transaction "
    "that writes on both sides in lock-step and commits on the authoritative side first. What may "
    "do something else on each side (clocks, chance, sequences, code that is not seen) is run on "
    "the authoritative side only; its tables, and those of every transaction that ended "
    "differently, are put in the ledger. It does not promise that the sides end equal. "
    "\"replication\" comes with PostgreSQL data movement";

constexpr const char* kEngineOfPostgres =
    "strategy.write_mode.engine: belongs to PostgreSQL only. Redis has one way to write to both "
    "sides: leave it out";

constexpr const char* kPartOfPostgres =
    "strategy: shadow_writes and sample_percentage belong to PostgreSQL only. Redis gets a copy of "
    "everything: leave them out";

constexpr const char* kOneOutcome =
    "strategy.write_mode.policy: must be old_authoritative or new_authoritative for PostgreSQL: "
    "under best_effort a transaction could have another outcome than the one that its later "
    "statements have seen";

bool splits(double share) { return share > 0 && share < 1; }

constexpr const char* kShadowOfPostgres =
    "strategy.write_mode: is not for shadow_traffic of PostgreSQL: a session's one connection to "
    "new "
    "has copies, which nobody waits for, or writes in lock-step. Use canary with a read_percentage "
    "of 0.0 and a dual_write";

constexpr const char* kNoKeys =
    "strategy.split_by: PostgreSQL has no keys; it is split by session, or by user";

constexpr const char* kNoRequests =
    "strategy.split_by: a PostgreSQL session would go over to the other side, with all that it "
    "holds, at nearly every request; it is split by session, or by user";

constexpr const char* kHistoryOfCallers =
    "strategy.split_by: must be key unless every key has one history: with writes that follow "
    "reads, "
    "or a write_percentage between 0 and 1, what one client writes another would not see. Give "
    "write_mode a dual_write, or a cutover of 0.0 or 1.0";

constexpr const char* kFlaggedWritesFollow =
    "strategy.write_mode: is needed for PostgreSQL with a rollout_percentage between 0 and 1: "
    "writes would follow reads, and one database's history would be split in two. Give {\"mode\": "
    "\"dual_write\", \"policy\": …, \"engine\": \"statement\"}, or {\"mode\": \"cutover\", "
    "\"write_percentage\": 0.0} (or 1.0)";

constexpr const char* kHistoryOfUsers =
    "strategy.rollout_percentage: must be 0.0 or 1.0 where the interlay's settings.user tells "
    "users by anything but the key, unless every key has one history: with writes that follow "
    "reads, or a write_percentage between 0 and 1, what one user writes another would not see. "
    "Give write_mode a dual_write, or a cutover of 0.0 or 1.0";

std::optional<std::string> postgres_objection(const WriteModeSpec& mode) {
  switch (mode.mode) {
    case WriteMode::Mode::Cutover:
      return splits(mode.write_percentage) ? std::optional(kHistorySplit) : std::nullopt;
    case WriteMode::Mode::DualWrite:
      break;
  }
  switch (mode.engine) {
    case Engine::Effect:
      return kEngineNeeded;
    case Engine::Statement:
      break;
  }
  if (mode.policy == Policy::BestEffort) return kOneOutcome;
  return std::nullopt;
}

// Its share of reads, now or by its ramp.
bool splits_reads(const CanarySpec& canary) {
  return splits(canary.read_percentage) ||
         (canary.ramp && std::ranges::any_of(canary.ramp->steps, splits));
}

std::optional<std::string> postgres_objection(const CanarySpec& canary) {
  if (!canary.write_mode && splits_reads(canary)) return kWritesFollow;
  if (!canary.split_by) return std::nullopt;
  switch (*canary.split_by) {
    case SplitBy::Key:
      return kNoKeys;
    case SplitBy::Request:
      return kNoRequests;
    case SplitBy::User:
    case SplitBy::Session:
      break;
  }
  return std::nullopt;
}

std::optional<std::string> redis_objection(const CanarySpec& canary) {
  if (canary.split_by.value_or(SplitBy::Key) == SplitBy::Key) return std::nullopt;
  const auto& mode = canary.write_mode;
  const bool one_history =
      mode && (mode->mode == WriteMode::Mode::DualWrite || !splits(mode->write_percentage));
  return one_history ? std::nullopt : std::optional(kHistoryOfCallers);
}

// Whether a key may have some of its writes on either side if users are not told by keys.
std::optional<std::string> redis_objection(const FeatureFlagSpec& flag, const UserSource& user) {
  if (user.from == UserFrom::Key) return std::nullopt;
  const auto& mode = flag.write_mode;
  const bool one_history =
      !mode ? !splits(flag.rollout_percentage)
            : mode->mode == WriteMode::Mode::DualWrite || !splits(mode->write_percentage);
  return one_history ? std::nullopt : std::optional(kHistoryOfUsers);
}

std::optional<std::string> postgres_objection(const StrategySpec& strategy) {
  const auto& mode = write_mode_of(strategy);
  if (mode && std::holds_alternative<ShadowTrafficSpec>(strategy)) return kShadowOfPostgres;
  if (mode) {
    if (auto objection = postgres_objection(*mode)) return objection;
  }
  const auto* flag = std::get_if<FeatureFlagSpec>(&strategy);
  if (flag != nullptr && !mode && splits(flag->rollout_percentage)) return kFlaggedWritesFollow;
  const auto* canary = std::get_if<CanarySpec>(&strategy);
  return canary == nullptr ? std::nullopt : postgres_objection(*canary);
}

std::optional<std::string> redis_objection(const StrategySpec& strategy,
                                           const std::optional<UserSource>& user) {
  const auto& mode = write_mode_of(strategy);
  if (mode && mode->mode == WriteMode::Mode::DualWrite && mode->engine == Engine::Statement) {
    return kEngineOfPostgres;
  }
  const auto* shadow = std::get_if<ShadowTrafficSpec>(&strategy);
  if (shadow != nullptr && (!shadow->shadow_writes || shadow->sample_percentage != 1)) {
    return kPartOfPostgres;
  }
  if (const auto* flag = std::get_if<FeatureFlagSpec>(&strategy)) {
    return redis_objection(*flag, user_of(EndpointKind::Redis, user));
  }
  const auto* canary = std::get_if<CanarySpec>(&strategy);
  return canary == nullptr ? std::nullopt : redis_objection(*canary);
}

// Of interlays before one server all have to say the same of a key, where its writes are on one
// side alone.
std::optional<std::string> unlike_users(const State& state, const Migration& migration) {
  const StrategySpec& strategy = migration.spec.strategy;
  if (!std::holds_alternative<FeatureFlagSpec>(strategy) || !moves_writes(strategy)) {
    return std::nullopt;
  }
  std::map<std::string, const InterlayDefinition*> first;  // by endpoint
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    const EndpointKind kind = state.endpoints.at(interlay.endpoint)->address.kind;
    const auto [at, is_first] = first.try_emplace(interlay.endpoint, &interlay);
    if (is_first || user_of(kind, at->second->user) == user_of(kind, interlay.user)) continue;
    return "strategy: interlays '" + at->second->identity.id + "' and '" + interlay.identity.id +
           "' stand before one server, and tell its users by different settings.user: a key would "
           "have two histories";
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> kind_objection(const State& state, const InterlayDefinition& interlay,
                                          const Endpoint& endpoint) {
  const EndpointKind kind = state.endpoints.at(interlay.endpoint)->address.kind;
  if (endpoint.address.kind == kind) return std::nullopt;
  return "endpoint: '" + endpoint.identity.id + "' is of kind " + name_of(endpoint.address.kind) +
         ", and interlay '" + interlay.identity.id + "' stands before one of kind " +
         name_of(kind) + ": both sides must be of one kind";
}

std::optional<std::string> strategy_objection(EndpointKind kind, const StrategySpec& strategy,
                                              const std::optional<UserSource>& user) {
  switch (kind) {
    case EndpointKind::Postgres:
      return postgres_objection(strategy);
    case EndpointKind::Redis:
      break;
  }
  return redis_objection(strategy, user);
}

std::optional<std::string> strategy_objection(const State& state, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    const EndpointKind kind = state.endpoints.at(interlay.endpoint)->address.kind;
    if (auto objection = strategy_objection(kind, migration.spec.strategy, interlay.user)) {
      return objection;
    }
  }
  return unlike_users(state, migration);
}

std::optional<std::string> new_user_objection(const State& state,
                                              const InterlayDefinition& interlay,
                                              const std::optional<UserSource>& user) {
  const MigrationPtr migration = migration_of(state, interlay.identity.uuid);
  if (migration == nullptr || migration->status == MigrationStatus::Completed) return std::nullopt;
  const EndpointKind kind = state.endpoints.at(interlay.endpoint)->address.kind;
  const StrategySpec& strategy = migration->spec.strategy;
  const std::string whose = "migration '" + migration->identity.id + "' ";
  if (const auto objection = strategy_objection(kind, strategy, user)) {
    return whose + "does not go with it: " + *objection;
  }
  const bool same = user_of(kind, user) == user_of(kind, interlay.user);
  const bool splits_users =
      std::holds_alternative<FeatureFlagSpec>(strategy) && splits_writes(to_strategy(strategy, {}));
  if (same || !splits_users || !routes(migration->status)) return std::nullopt;
  return whose +
         "has the writes of some users on new alone: who they are can not be changed "
         "while it routes";
}

std::optional<std::string> shard_objection(const State& state, const std::string& endpoint,
                                           const std::string& shard, const Self& self) {
  for (const auto& [uuid, interlay] : state.interlays) {
    if (interlay->endpoint != endpoint) continue;
    const MigrationPtr migration = migration_of(state, uuid);
    if (migration == nullptr || !routes(migration->status) ||
        migration->status == MigrationStatus::Completed ||
        binding_of(*migration, uuid)->taken_back) {
      continue;
    }
    Self now = at_interlay(state, *interlay, self);
    Self then = now;
    then.shard = shard;
    const StrategySpec& strategy = migration->spec.strategy;
    if (to_strategy(strategy, now) == to_strategy(strategy, then)) continue;
    return "migration '" + migration->identity.id +
           "' goes by it in status: " + title_of(migration->status) + ", and interlay '" +
           interlay->identity.id +
           "' would go to the other side: PATCH migrated_instances, or roll back first";
  }
  return std::nullopt;
}

bool all_on_new(const State& state, const Migration& migration, const Self& self) {
  const StrategySpec& strategy = migration.spec.strategy;
  if (!migration.apis.empty() && !governs_all(state, migration)) return false;
  if (migration.bindings.empty()) return everything_on_new(strategy, self);
  return std::ranges::all_of(migration.bindings, [&](const Binding& binding) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    return binding.taken_back ||
           (everything_on_new(strategy, at_interlay(state, interlay, self)) &&
            std::ranges::all_of(networks_of(strategy, interlay.regions), &RegionNetwork::migrated));
  });
}

}  // namespace crossfade
