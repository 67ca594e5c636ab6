// Dual writes: both sides get the write, the policy says whose outcome the client sees.
#include "strategies/policy.h"

namespace crossfade {

Plan plan_dual_write(Policy policy) {
  Plan plan{.answer = Side::Old, .second = Second::Write};
  switch (policy) {
    case Policy::OldAuthoritative:
      break;
    case Policy::NewAuthoritative:
      plan.answer = Side::New;
      break;
    case Policy::BestEffort:
      plan.either = true;
      break;
  }
  return plan;
}

}  // namespace crossfade
