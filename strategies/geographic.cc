// Geographic: one region after the other goes to new, each as a whole.
//
// Which region a client belongs to is looked up once, when it comes or the table changes; what is
// left of that here is whether its region has gone.
#include "strategies/one_side.h"

namespace crossfade {

Plan plan_geographic(const Geographic& geographic, const Facts& request) {
  return plan_one_side(side_where(geographic.region_migrated), geographic.write_mode, request);
}

}  // namespace crossfade
