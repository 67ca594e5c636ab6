// The rules of migration_rules.h.
#include "control/service/migration_rules.h"

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

std::optional<std::string> postgres_objection(const CanarySpec& canary) {
  if (!canary.write_mode) {
    return splits(canary.read_percentage) ? std::optional(kWritesFollow) : std::nullopt;
  }
  switch (canary.write_mode->mode) {
    case WriteMode::Mode::Cutover:
      return splits(canary.write_mode->write_percentage) ? std::optional(kHistorySplit)
                                                         : std::nullopt;
    case WriteMode::Mode::DualWrite:
      break;
  }
  switch (canary.write_mode->engine) {
    case Engine::Effect:
      return kEngineNeeded;
    case Engine::Statement:
      break;
  }
  if (canary.write_mode->policy == Policy::BestEffort) return kOneOutcome;
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

std::optional<std::string> strategy_objection(EndpointKind kind, const StrategySpec& strategy) {
  const auto* shadow = std::get_if<ShadowTrafficSpec>(&strategy);
  if (shadow != nullptr && kind == EndpointKind::Redis && !(*shadow == ShadowTrafficSpec{})) {
    return kPartOfPostgres;
  }
  const auto* canary = std::get_if<CanarySpec>(&strategy);
  if (canary == nullptr) return std::nullopt;  // it asks for nothing that one of them lacks
  switch (kind) {
    case EndpointKind::Postgres:
      return postgres_objection(*canary);
    case EndpointKind::Redis:
      break;
  }
  if (engine_of(strategy) == Engine::Statement) return kEngineOfPostgres;
  return std::nullopt;
}

std::optional<std::string> strategy_objection(const State& state, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const Endpoint& old_side = *state.endpoints.at(state.interlays.at(binding.interlay)->endpoint);
    if (auto objection = strategy_objection(old_side.address.kind, migration.spec.strategy)) {
      return objection;
    }
  }
  return std::nullopt;
}

}  // namespace crossfade
