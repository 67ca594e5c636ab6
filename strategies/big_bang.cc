// Big bang: once executed, new serves everything.
//
// Until then the migration is not in force and nobody asks for a plan.
#include "strategies/one_side.h"

namespace crossfade {

Plan plan_big_bang(const BigBang& big_bang, const Facts& request) {
  return plan_one_side(Side::New, big_bang.write_mode, request);
}

}  // namespace crossfade
