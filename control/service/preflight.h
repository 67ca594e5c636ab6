// The test of a migration before it starts: connects to both sides, asks, and judges. Changes
// nothing.
#pragma once

#include <string>
#include <vector>

#include "control/service/check.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

// The name of the check that asks new.
inline constexpr const char* kNewReachable = "new_reachable";

// All checks, interlay by interlay. Blocks for up to kCheckTimeout_ms for each question to servers
// that hang, of 16 of them at once; those of other migrations that it must not meet are asked, too.
// A time_window is looked at as it will be.
//   now  Unix time, seconds
std::vector<Check> preflight(const State& state, const Migration& migration, const Self& self,
                             std::int64_t now, Servers& servers);

// Which of a migration's new servers does not answer, and what was said; empty: all do. Blocks for
// up to kCheckTimeout_ms.
std::string gone_new(const State& state, const Migration& migration, Servers& servers);

// Whether the data that a migration is to move is moved. Asks nobody; not to be forced.
Check check_data_movement(const Migration& migration);

// Whether what a migration says of apis can be done. Asks nobody; not to be forced.
Check check_apis(const State& state, const Migration& migration);

}  // namespace crossfade
