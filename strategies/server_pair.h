// What tells one pair of servers from another.
#pragma once

#include <cstdint>

#include "strategies/table.h"

namespace crossfade {

// The same number for the same two places (host and port), in every process; never 0. What a ledger
// has of one pair says nothing of a key of that name at another.
std::uint64_t pair_of(const EndpointAddress& old_side, const EndpointAddress& new_side);

}  // namespace crossfade
