// What is asked of the two PostgreSQL servers of an interlay before its migration starts.
#pragma once

#include <vector>

#include "control/service/check.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

// The checks of one interlay, in the order of their asking. Blocks for up to kCheckTimeout_ms for
// each server.
std::vector<Check> postgres_checks(const InterlayDefinition& interlay, const Endpoint& old_endpoint,
                                   const Endpoint& new_endpoint, Servers& servers);

}  // namespace crossfade
