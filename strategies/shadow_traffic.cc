// Shadow traffic: old answers everything; new gets a copy of what both sides can understand.
//
// Nothing that the new side does can be felt, so even a write and a published message are copies
// here: they may be dropped, and their failure is nobody's.
#include "strategies/migration.h"

namespace crossfade {

Plan plan_shadow_traffic(const ShadowTraffic&, const Facts& request) {
  // A session that an earlier strategy pinned to new gets its answers there until it is free again.
  if (request.pinned == Side::New) return {.answer = Side::New};
  if (request.sided || request.kind == Kind::Other) return {.answer = Side::Old};
  return {.answer = Side::Old, .second = Second::Copy};
}

}  // namespace crossfade
