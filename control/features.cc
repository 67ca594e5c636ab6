// Names of features and flags beside a migration's apis.
#include "control/features.h"

#include <algorithm>

#include "control/api_entries.h"
#include "control/api_rules.h"

namespace crossfade {

namespace {

// Null for strategies that move apis as soon as they have some.
const Switches* switches_of(const StrategySpec& strategy) {
  if (const auto* fig = std::get_if<StranglerFigSpec>(&strategy)) return &fig->features;
  if (const auto* flag = std::get_if<FeatureFlagSpec>(&strategy)) return &flag->flags;
  return nullptr;
}

bool names_own_api(const State& state, const Migration& migration, const std::string& name) {
  return std::ranges::any_of(migration.apis, [&](const ApiBinding& part) {
    return name == part.api || name == state.apis.at(part.api)->identity.id;
  });
}

}  // namespace

std::vector<std::string> strangers(const State& state, const Migration& migration, bool on) {
  std::vector<std::string> names;
  const Switches* switches = switches_of(migration.spec.strategy);
  if (switches == nullptr) return names;
  for (const auto& [name, is_on] : *switches) {
    if (is_on == on && !names_own_api(state, migration, name)) names.push_back(name);
  }
  return names;
}

bool governs_all(const State& state, const Migration& migration) {
  return std::holds_alternative<FeatureFlagSpec>(migration.spec.strategy) &&
         !strangers(state, migration, true).empty();
}

bool takes_part(const Migration& migration, const ApiDefinition& api) {
  const Identity& identity = api.identity;
  if (std::ranges::find(migration.apis, identity.uuid, &ApiBinding::api) == migration.apis.end()) {
    return false;
  }
  const Switches* switches = switches_of(migration.spec.strategy);
  if (switches == nullptr) return true;
  const auto by_id = switches->find(identity.id);
  const auto by_uuid = switches->find(identity.uuid);
  if (by_id == switches->end() && by_uuid == switches->end()) return false;
  return (by_id == switches->end() || by_id->second) &&
         (by_uuid == switches->end() || by_uuid->second);
}

Governed governed_at(const State& state, const Migration& migration, const std::string& endpoint) {
  if (switches_of(migration.spec.strategy) == nullptr) {
    return has_api_of(state, migration, endpoint) ? Governed::Apis : Governed::All;
  }
  if (governs_all(state, migration)) return Governed::All;
  const bool any = std::ranges::any_of(migration.apis, [&](const ApiBinding& part) {
    const ApiDefinition& api = *state.apis.at(part.api);
    return endpoint_of(state, api.spec) == endpoint && takes_part(migration, api);
  });
  return any ? Governed::Apis : Governed::None;
}

}  // namespace crossfade
