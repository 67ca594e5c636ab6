// Feature flag: a stable share of the users has what the flags govern from new.
//
// Which user a request is of was asked before, and is a bucket here: that of its keys, or of who
// asks. What no enabled flag governs stays (Facts::stays).
#include "strategies/as_canary.h"
#include "strategies/canary.h"

namespace crossfade {

Canary as_canary(const FeatureFlag& flag) {
  return {
      .read_share = flag.rollout_share, .write_mode = flag.write_mode, .split_by = flag.split_by};
}

Plan plan_feature_flag(const FeatureFlag& flag, const Facts& request) {
  return plan_canary(as_canary(flag), request);
}

}  // namespace crossfade
