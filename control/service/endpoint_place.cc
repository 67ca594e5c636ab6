// Bindings looked through for the endpoint.
#include "control/service/endpoint_place.h"

#include <functional>
#include <variant>

#include "control/lifecycle.h"
#include "control/service/migration_rules.h"

namespace crossfade {

namespace {

// Clients may have written to its new side, and nobody else has that. Behind its end the interlay
// stands before that side as before any.
bool writes_new(const Migration& migration) {
  return routes(migration.status) && migration.status != MigrationStatus::Completed &&
         !writes_both(migration) &&
         !std::holds_alternative<ShadowTrafficSpec>(migration.spec.strategy);
}

// The first that the endpoint is a side of, and that `minds`.
std::optional<std::string> first_objection(
    const State& state, const Identity& endpoint,
    const std::function<std::string(const Migration&, bool is_new)>& minds) {
  for (const auto& [uuid, migration] : state.migrations) {
    for (const Binding& binding : migration->bindings) {
      const bool is_new = binding.endpoint == endpoint.uuid;
      if (!is_new && state.interlays.at(binding.interlay)->endpoint != endpoint.uuid) continue;
      if (std::string objection = minds(*migration, is_new); !objection.empty()) return objection;
    }
  }
  return std::nullopt;
}

std::string is_a_side(const Identity& endpoint, const char* which, const Migration& migration) {
  return "Endpoint '" + endpoint.id + "' is " + which + " side of migration '" +
         migration.identity.id + "', ";
}

constexpr const char* kMissing = ": at another address its writes until now may be missing";

}  // namespace

std::optional<std::string> lone_place_objection(const State& state, const Identity& endpoint) {
  return first_objection(state, endpoint, [&](const Migration& migration, bool is_new) {
    if (!is_new || !writes_new(migration)) return std::string();
    return is_a_side(endpoint, "the new", migration) + "which is in force" + kMissing;
  });
}

std::optional<std::string> place_objection(const State& state, const Identity& endpoint) {
  auto both = first_objection(state, endpoint, [&](const Migration& migration, bool) {
    if (!writes_both(migration)) return std::string();
    return is_a_side(endpoint, "a", migration) + "which writes to both" + kMissing +
           ". Roll back first, or use ?force=true: the migration then needs full verification";
  });
  if (both) return both;
  auto lone = lone_place_objection(state, endpoint);
  if (lone) *lone += ". Roll back first, or use ?force=true if the data is there, too";
  return lone;
}

}  // namespace crossfade
