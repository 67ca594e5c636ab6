// One side serves all traffic; the other only still hears what is published.
#include "strategies/one_side.h"

namespace crossfade {

Plan plan_one_side(Side side, const Facts& request) {
  const Side answer = request.pinned.value_or(side);
  // Subscriptions made before the switch stay on the other side until they end.
  if (request.kind == Kind::Publish) return {.answer = answer, .second = Second::Write};
  return {.answer = answer};
}

}  // namespace crossfade
