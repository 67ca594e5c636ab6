// The test of a migration before it starts: connects to both sides, asks, and judges. Changes
// nothing.
#pragma once

#include <vector>

#include "control/service/check.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

// All checks, in the order of their asking. Blocks for up to kCheckTimeout_ms for each server,
// those of other migrations that it must not meet among them. A time_window is looked at as it will
// be.
//   now  Unix time, seconds
std::vector<Check> preflight(const State& state, const Migration& migration, const Self& self,
                             std::int64_t now, Servers& servers);

// Whether what a migration says of apis can be done. Asks nobody; not to be forced.
Check check_apis(const State& state, const Migration& migration);

}  // namespace crossfade
