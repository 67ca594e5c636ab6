// Everything on one side: what an executed big_bang and both positions of blue_green have in
// common.
//
// Knows nothing of which strategy chose the side.
#pragma once

#include "strategies/plan.h"

namespace crossfade {

// The plan of a request while `side` serves all traffic. A pinned session stays where it is.
Plan plan_one_side(Side side, const Facts& request);

}  // namespace crossfade
