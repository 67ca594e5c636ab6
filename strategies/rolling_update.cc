// Rolling update: one sidecar after the other goes to new, each as a whole.
//
// Which sidecars have gone is told to all of them by name; what is left of that here is whether
// this one has.
#include "strategies/one_side.h"

namespace crossfade {

Plan plan_rolling_update(const RollingUpdate& rolling, const Facts& request) {
  return plan_one_side(side_where(rolling.here_migrated), rolling.write_mode, request);
}

}  // namespace crossfade
