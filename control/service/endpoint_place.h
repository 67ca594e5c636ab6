// When an endpoint must not become another place just like that: what was written at the former
// one would be out of sight.
#pragma once

#include <optional>
#include <string>

#include "control/state.h"

namespace crossfade {

// Of a PATCH, with the way out: a side of a migration that writes to both, or the new side of any
// other that is in force. Nullopt: nothing is against it.
std::optional<std::string> place_objection(const State& state, const Identity& endpoint);

// Of the configuration file, which has no force: the new side of a migration by which writes are on
// new alone now, as nothing could tell later what is missing. Says no way out.
std::optional<std::string> file_place_objection(const State& state, const Identity& endpoint);

}  // namespace crossfade
