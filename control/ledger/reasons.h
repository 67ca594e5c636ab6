// Reasons for full verification that others than the ledger tell apart.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "strategies/plan.h"

namespace crossfade {

// Of old alone: nothing is missing on new by it.
inline constexpr const char* kAlone =
    "it began to write to both sides when new had writes that old does not have";

// New decided, and had all that was acknowledged: nothing is missing on new by it.
inline constexpr const char* kCrashOfNewRight =
    "the sidecar ended without a clean shutdown while it was writing to both sides, and new was "
    "right";

// How a reason begins that says which keys new had not when it was made right, or answered, by
// force.
inline constexpr const char* kByForce = "new took over by force, and does without what old has: ";

// How a reason begins that says what an endpoint of that side has lost; its id follows.
inline std::string side_lost(Side side) { return std::string(name_of(side)) + " endpoint '"; }

// The side that may lack something by it, where the other one lacks nothing; nullopt: either may.
inline std::optional<Side> lacking_side(std::string_view reason) {
  if (reason == kAlone || reason == kCrashOfNewRight || reason.starts_with(side_lost(Side::Old))) {
    return Side::Old;
  }
  const bool new_lacks = reason.starts_with(kByForce) || reason.starts_with(side_lost(Side::New));
  return new_lacks ? std::optional(Side::New) : std::nullopt;
}

// Should the process end before it is stored, the next one writes to both sides again.
inline constexpr const char* kBackUnstored =
    "it was rolled back, which was not stored at once: writes went to old alone from then on";

}  // namespace crossfade
