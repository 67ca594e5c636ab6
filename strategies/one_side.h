// Everything on one side, or all that is read: what an executed big_bang, both positions of
// blue_green, one sidecar of a rolling_update, one client of a geographic migration and both ends
// of a time_window have in common.
//
// Knows nothing of which strategy chose the side.
#pragma once

#include <optional>

#include "strategies/migration.h"

namespace crossfade {

constexpr Side side_where(bool is_new) { return is_new ? Side::New : Side::Old; }

// The plan of a request while `side` serves all reads, and writes follow them or go by the write
// mode. A pinned session stays where it is.
Plan plan_one_side(Side side, const std::optional<WriteMode>& write_mode, const Facts& request);

// The canary that comes to the same, but for what is published.
Canary whole_side(Side side, const std::optional<WriteMode>& write_mode);

}  // namespace crossfade
