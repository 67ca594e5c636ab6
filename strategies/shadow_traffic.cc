// Shadow traffic: old answers everything; new gets a copy of what both sides can understand.
//
// Nothing that the new side does can be felt, so even a write and a published message are copies
// here: they may be dropped, and their failure is nobody's. Where something else feeds new, as
// replication does, writes would be made twice there: then only reads are copied. With a write mode
// writes are none: old decides, and what new has missed is in the ledger.
#include "strategies/migration.h"

namespace crossfade {

Plan plan_shadow_traffic(const ShadowTraffic& shadow, const Facts& request) {
  // A session that an earlier strategy pinned to new gets its answers there until it is free again.
  if (request.pinned == Side::New) return {.answer = Side::New};
  if (request.sided || request.kind == Kind::Other) return {.answer = Side::Old};
  if (shadow.write_mode && request.kind != Kind::Read) {
    return {.answer = Side::Old, .second = Second::Write};
  }
  if (!shadow.writes && request.kind != Kind::Read) return {.answer = Side::Old};
  if (request.keyed && request.bucket_low >= shadow.sample_share) return {.answer = Side::Old};
  return {.answer = Side::Old, .second = Second::Copy};
}

}  // namespace crossfade
