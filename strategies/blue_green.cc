// Blue-green: the active side serves everything; flipping `active_is_new` moves all of it, both
// ways.
#include "strategies/one_side.h"

namespace crossfade {

Plan plan_blue_green(const BlueGreen& blue_green, const Facts& request) {
  return plan_one_side(side_where(blue_green.active_is_new), blue_green.write_mode, request);
}

}  // namespace crossfade
