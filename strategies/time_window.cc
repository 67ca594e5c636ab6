// Time window: old until it is executed, then new.
//
// What executes it is control, by its clock: a plan depends on no time, so that all requests
// between two tables go the same way.
#include "strategies/one_side.h"

namespace crossfade {

Plan plan_time_window(const TimeWindow& window, const Facts& request) {
  if (!window.executed) return plan_one_side(Side::Old, std::nullopt, request);
  return plan_one_side(Side::New, window.write_mode, request);
}

}  // namespace crossfade
