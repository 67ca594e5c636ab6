// When an endpoint must not become another place just like that: what was written at the former
// one would be out of sight.
#pragma once

#include <optional>
#include <string>

#include "control/state.h"

namespace crossfade {

// It is the new side of a migration that sends writes to new alone, and nothing can tell later what
// is missing. Nullopt: of none. Says no way out.
std::optional<std::string> lone_place_objection(const State& state, const Identity& endpoint);

// Likewise, with the way out; or one side or the other of a migration that writes to both, which
// can be verified.
std::optional<std::string> place_objection(const State& state, const Identity& endpoint);

}  // namespace crossfade
