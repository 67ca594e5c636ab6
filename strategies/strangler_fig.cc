// Strangler fig: one api after the other goes to new, each as a whole.
//
// Whose a request is was looked up before: what belongs to no api that has gone stays
// (Facts::stays) and is not planned here.
#include "strategies/as_canary.h"
#include "strategies/canary.h"

namespace crossfade {

Canary as_canary(const StranglerFig& fig) {
  return {.read_share = kWhole, .write_mode = fig.write_mode};
}

Plan plan_strangler_fig(const StranglerFig& fig, const Facts& request) {
  return plan_canary(as_canary(fig), request);
}

}  // namespace crossfade
