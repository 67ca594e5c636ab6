// One side serves all traffic; the other only still hears what is published. With a write mode it
// is a canary that nobody, or everybody, takes part in.
#include "strategies/one_side.h"

namespace crossfade {

Plan plan_one_side(Side side, const std::optional<WriteMode>& write_mode, const Facts& request) {
  if (write_mode) return plan_canary(whole_side(side, write_mode), request);
  const Side answer = request.pinned.value_or(side);
  // Subscriptions made before the switch stay on the other side until they end.
  if (request.kind == Kind::Publish) return {.answer = answer, .second = Second::Write};
  return {.answer = answer};
}

Canary whole_side(Side side, const std::optional<WriteMode>& write_mode) {
  return {.read_share = side == Side::New ? kWhole : 0, .write_mode = write_mode};
}

}  // namespace crossfade
