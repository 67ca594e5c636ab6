// What is asked of the two PostgreSQL servers of an interlay before its migration starts.
//
// What would make clients fail on new is a reason to refuse. What only may (roles that nobody uses,
// another collation) is said, with ok: true. Changes nothing.
#pragma once

#include <vector>

#include "control/service/asked.h"
#include "control/service/check.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

// The checks of one interlay, whose servers were asked.
std::vector<Check> postgres_checks(const InterlayDefinition& interlay, const Endpoint& old_endpoint,
                                   const Endpoint& new_endpoint, const StrategySpec& strategy,
                                   const Asked& asked, const Servers& servers);

// Those that compare what the two have told; both were let in. Pure.
std::vector<Check> compare_surveys(const PostgresSurvey& old_told, const PostgresSurvey& new_told,
                                   const StrategySpec& strategy);

}  // namespace crossfade
