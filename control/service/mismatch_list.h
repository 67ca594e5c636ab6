// Samples of replies that differed -> the "mismatches" of GET …/divergence.
#pragma once

#include <vector>

#include "control/json/value.h"
#include "strategies/mismatch.h"

namespace crossfade {

// An array in the order given: {"at", "interlay", "sort", "class", "command", "db", "keys",
// "old_reply", "new_reply"}; "db" is null for a client that never chose one.
Json render(const std::vector<MismatchSample>& samples);

}  // namespace crossfade
