// Bindings looked through for the endpoint.
#include "control/service/endpoint_place.h"

#include <algorithm>
#include <variant>

#include "control/lifecycle.h"
#include "control/service/right_side.h"

namespace crossfade {

namespace {

// Clients may have written to its new side, and nobody else has that. Behind its end the interlay
// stands before that side as before any.
bool writes_new(const Migration& migration) {
  return routes(migration.status) && migration.status != MigrationStatus::Completed &&
         !writes_both(migration) &&
         !std::holds_alternative<ShadowTrafficSpec>(migration.spec.strategy);
}

bool is_new_side(const Migration& migration, const Identity& endpoint) {
  return std::ranges::find(migration.bindings, endpoint.uuid, &Binding::endpoint) !=
         migration.bindings.end();
}

// An interlay that the file does not have any more is none whose side it could be.
bool is_old_side(const State& state, const Migration& migration, const Identity& endpoint) {
  return std::ranges::any_of(migration.bindings, [&](const Binding& binding) {
    const auto interlay = state.interlays.find(binding.interlay);
    return interlay != state.interlays.end() && interlay->second->endpoint == endpoint.uuid;
  });
}

std::string is_a_side(const Identity& endpoint, const char* which, const Migration& migration) {
  return "Endpoint '" + endpoint.id + "' is " + which + " side of migration '" +
         migration.identity.id + "', ";
}

constexpr const char* kMissing = ": at another address its writes until now may be missing";

std::string is_new_in_force(const Identity& endpoint, const Migration& migration) {
  return is_a_side(endpoint, "the new", migration) + "which is in force" + kMissing;
}

}  // namespace

std::optional<std::string> place_objection(const State& state, const Identity& endpoint) {
  for (const auto& [uuid, migration] : state.migrations) {
    const bool is_new = is_new_side(*migration, endpoint);
    if (writes_both(*migration) && (is_new || is_old_side(state, *migration, endpoint))) {
      return is_a_side(endpoint, "a", *migration) + "which writes to both" + kMissing +
             ". Roll back first, or use ?force=true: the migration then needs full verification";
    }
    if (writes_new(*migration) && is_new) {
      return is_new_in_force(endpoint, *migration) +
             ". Roll back first, or use ?force=true if the data is there, too";
    }
  }
  return std::nullopt;
}

std::optional<std::string> file_place_objection(const State& state, const Identity& endpoint) {
  for (const auto& [uuid, migration] : state.migrations) {
    const StrategySpec& strategy = migration->spec.strategy;
    if (writes_new(*migration) && moves_writes(strategy) && relies_on_new(strategy) &&
        is_new_side(*migration, endpoint)) {
      return is_new_in_force(endpoint, *migration);
    }
  }
  return std::nullopt;
}

}  // namespace crossfade
