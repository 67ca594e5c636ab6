// Questions that need more than one resource.
#include "control/state.h"

#include <algorithm>

namespace crossfade {

MigrationPtr migration_of(const State& state, std::string_view interlay) {
  for (const auto& [uuid, migration] : state.migrations) {
    if (!holds_resources(migration->status)) continue;
    if (binding_of(*migration, interlay) != nullptr) return migration;
  }
  return nullptr;
}

MigrationPtr migration_of_api(const State& state, std::string_view api) {
  for (const auto& [uuid, migration] : state.migrations) {
    if (!holds_resources(migration->status)) continue;
    for (const ApiBinding& binding : migration->apis) {
      if (binding.api == api) return migration;
    }
  }
  return nullptr;
}

Self at_interlay(const State& state, const InterlayDefinition& interlay, Self self) {
  self.shard = state.endpoints.at(interlay.endpoint)->shard;
  return self;
}

bool writes_both(const Migration& migration) {
  return routes(migration.status) && dual_writes(migration.spec.strategy) &&
         !migration.bindings.empty();
}

bool writes_both_by(const Migration& migration, Engine engine) {
  return writes_both(migration) && engine_of(migration.spec.strategy) == engine;
}

const Binding* binding_of(const Migration& migration, std::string_view interlay) {
  const auto found =
      std::find_if(migration.bindings.begin(), migration.bindings.end(),
                   [&](const Binding& binding) { return binding.interlay == interlay; });
  return found == migration.bindings.end() ? nullptr : &*found;
}

bool in_use(const State& state, std::string_view endpoint) {
  for (const auto& [uuid, interlay] : state.interlays) {
    if (interlay->endpoint == endpoint) return true;
  }
  for (const auto& [uuid, migration] : state.migrations) {
    for (const Binding& binding : migration->bindings) {
      if (binding.endpoint == endpoint) return true;
    }
  }
  return false;
}

}  // namespace crossfade
