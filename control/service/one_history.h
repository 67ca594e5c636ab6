// Whether a migration says the same of a key at every interlay before one server.
//
// Where what moves is written on new alone, interlays that move other keys, or other users, would
// give a key two histories. Endpoints are told apart as server_pairs.h does it: several may name
// one server.
#pragma once

#include <optional>

#include "control/service/check.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

// By what servers have told so far. Nullopt: none of the migration's other interlays stands before
// the server of this one by an endpoint of another name, or nothing is written on new alone.
std::optional<Check> check_one_history(const State& state, const Migration& migration,
                                       const Binding& binding, const Servers& servers);

}  // namespace crossfade
