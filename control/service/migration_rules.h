// What a migration may be, given the servers that it stands between. Pure; each returns an
// objection, or nothing.
//
// A strategy is given before its interlays are, so that what it must be for Redis or PostgreSQL is
// known when the first one is added, and asked again of every PATCH.
#pragma once

#include <optional>
#include <string>

#include "control/state.h"

namespace crossfade {

// The endpoint cannot be the new side of that interlay: it speaks another protocol.
std::optional<std::string> kind_objection(const State& state, const InterlayDefinition& interlay,
                                          const Endpoint& endpoint);

// The strategy is none for servers of that kind: "strategy.write_mode.engine: …", what is wrong,
// and what to do.
//   user  of the interlay before them, as it is set
std::optional<std::string> strategy_objection(EndpointKind kind, const StrategySpec& strategy,
                                              const std::optional<UserSource>& user = {});

// Likewise, for the interlays of this migration.
std::optional<std::string> strategy_objection(const State& state, const Migration& migration);

// The interlay's migration does not go with such users; or which users' writes are on new would be
// another while it routes.
std::optional<std::string> new_user_objection(const State& state,
                                              const InterlayDefinition& interlay,
                                              const std::optional<UserSource>& user);

// A rolling_update that routes would send an interlay before that endpoint (uuid) to the other
// side, unseen, if it were of that shard.
std::optional<std::string> shard_objection(const State& state, const std::string& endpoint,
                                           const std::string& shard, const Self& self);

// No client of any of its interlays is answered by old, wherever it is, but those of interlays that
// were taken back. Beside apis there is always something that is.
bool all_on_new(const State& state, const Migration& migration, const Self& self);

}  // namespace crossfade
