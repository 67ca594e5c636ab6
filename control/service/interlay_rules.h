// What an interlay may be, given what else there is. Pure; each returns an objection, or nothing.
#pragma once

#include <optional>
#include <string>

#include "control/state.h"

namespace crossfade {

// The port is another interlay's (uuid: its own, empty for a new one), running or not.
std::optional<std::string> port_objection(const State& state, const InterlaySpec& spec,
                                          const std::string& uuid);

// The interlay would stand before itself, perhaps with others of ours between, and feed itself
// until no descriptor is left.
std::optional<std::string> loop_objection(const State& state, const InterlaySpec& spec,
                                          const Endpoint& endpoint);

// Some interlay of the state stands before itself, by its endpoint or its migration's.
std::optional<std::string> loop_objection(const State& state);

// A migration decides where this interlay's traffic goes, and another endpoint (uuid) behind it
// would change that. A completed one is settled by naming its new side; before it starts, any but
// that will do.
std::optional<std::string> endpoint_objection(const State& state,
                                              const InterlayDefinition& interlay,
                                              const std::string& endpoint);

}  // namespace crossfade
