// What two interlays before one server move, compared.
#include "control/service/one_history.h"

#include <string>

#include "control/api_entries.h"
#include "control/features.h"
#include "control/service/server_pairs.h"

namespace crossfade {

namespace {

bool like_users(const State& state, const Migration& migration, const InterlayDefinition& one,
                const InterlayDefinition& other) {
  if (!std::holds_alternative<FeatureFlagSpec>(migration.spec.strategy)) return true;
  const EndpointKind kind = state.endpoints.at(one.endpoint)->address.kind;
  return user_of(kind, one.user) == user_of(kind, other.user);
}

// Apis are of one endpoint, so that two which both go by apis go by others.
bool like_apis(const State& state, const Migration& migration, const InterlayDefinition& one,
               const InterlayDefinition& other) {
  const Governed governed = governed_at(state, migration, one.endpoint);
  return governed == governed_at(state, migration, other.endpoint) &&
         (governed != Governed::Apis || api_entries(state, migration, one.endpoint) ==
                                            api_entries(state, migration, other.endpoint));
}

}  // namespace

std::optional<Check> check_one_history(const State& state, const Migration& migration,
                                       const Binding& binding, const Servers& servers) {
  if (!moves_writes(foreseen(migration.spec.strategy))) return std::nullopt;
  const InterlayDefinition& ours = *state.interlays.at(binding.interlay);
  std::optional<Check> check;
  for (const Binding& there : migration.bindings) {
    const InterlayDefinition& other = *state.interlays.at(there.interlay);
    if (other.endpoint == ours.endpoint) continue;
    const char* by = one_database(*state.endpoints.at(ours.endpoint),
                                  *state.endpoints.at(other.endpoint), servers);
    if (by == nullptr) continue;
    const bool users = like_users(state, migration, ours, other);
    const bool same = users && like_apis(state, migration, ours, other);
    check = Check{.name = "one_history", .ok = same};
    check->detail = "interlay '" + other.identity.id + "' stands before the same server (" + by +
                    "), by an endpoint of another name, and ";
    if (same) {
      check->detail += "moves the same";
      continue;
    }
    check->detail +=
        users ? "goes by other apis: a key that the one moves, and the other does not"
              : "tells its users by another settings.user: a key of whom the one moves, and the "
                "other does not";
    check->detail += ", would have two histories. Put both interlays before one endpoint";
    return check;
  }
  return check;
}

}  // namespace crossfade
