// Big bang: once executed, new serves everything.
//
// Until then the migration is not in force and nobody asks for a plan.
#include "strategies/migration.h"
#include "strategies/one_side.h"

namespace crossfade {

Plan plan_big_bang(const BigBang&, const Facts& request) {
  return plan_one_side(Side::New, request);
}

}  // namespace crossfade
