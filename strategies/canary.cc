// Canary: moves a stable slice of the key space to the new side, a bit at a time.
//
// The slice is chosen by key, not by dice: a client that writes a key and reads it back never sees
// the two sides disagree. Raising a share only ever adds keys; no key moves back. Where all keys
// have one history the reads may be split by who asks instead: then "keys < r" is the bucket of
// that one.
//
// With r the read share and w the write share of a cutover (without a write mode w is r), a request
// is the first of these cases that fits:
//
//   1. it belongs to no key and is neither a write nor a message -> the pinned side, else home;
//      likewise what belongs to one side's own state (a cursor, a script's SHA), except that a key
//      whose history is on new alone is never asked of old: then 7
//   2. a published message -> the pinned side, else home; the other side gets it too, because
//      subscribers may sit on either
//   3. dual write, a write: by the policy, to both sides; pinned: answered by the pinned side
//   4. dual write, a read: all keys < r -> new, else old. On new it may fall back to old, unless
//      new is the authority and old may be behind
//   5. cutover, a write: all keys < w -> new; all keys >= w -> old; else refused, since no server
//      holds both histories
//   6. cutover, a write without keys (FLUSHALL, SCRIPT LOAD, ...): to the only side in use; to both
//      while the key space is split
//   7. cutover, a read: a key < w is right only on new, a key in [w, r) on either (the operator had
//      it copied, or would not have asked for r > w), any other key only on old
//      7a. no key < w:   all keys < r -> new, else old
//      7b. some key < w: all keys < max(r, w) -> new, else refused
//   8. pinned: answered by the pinned side. While the key space is split, a write that belongs to
//      the other side is refused rather than hidden where nobody will read it, and so is a read of
//      a key that this side does not have
//
// Of a migration of apis whose writes move, part of the keys is beyond any share (kBeyond): w = 1
// then leaves the key space split, and home on old.
//
// Depends on: strategies/plan.h. Knows nothing of sockets, clocks, or configuration files.
#include "strategies/canary.h"

#include <algorithm>
#include <cassert>

namespace crossfade {
namespace {

bool is_dual_write(const Canary& canary) {
  return canary.write_mode && canary.write_mode->mode == WriteMode::Mode::DualWrite;
}

// The share of keys whose writes are on new. Only for what is not a dual write.
std::uint32_t write_share(const Canary& canary) {
  assert(!is_dual_write(canary));
  return canary.write_mode ? canary.write_mode->write_share : canary.read_share;
}

// Where the read lies on the line that is split.
std::uint32_t read_bucket(const Canary& canary, const Facts& request) {
  return canary.split_by == SplitBy::Key ? request.bucket_high : request.caller_bucket;
}

Plan plan_dual_read(const Canary& canary, const Facts& request) {
  // '<' and not '<=': at 0 no bucket qualifies, at kWhole every bucket does.
  if (read_bucket(canary, request) >= canary.read_share) return {.answer = Side::Old};
  const bool old_is_complete = canary.write_mode->policy != Policy::NewAuthoritative;
  return {.answer = Side::New, .fallback = old_is_complete};
}

Plan plan_split_read(const Canary& canary, const Facts& request) {
  const std::uint32_t moved = write_share(canary);
  if (request.bucket_low >= moved) {
    return {.answer = read_bucket(canary, request) < canary.read_share ? Side::New : Side::Old};
  }
  const bool all_on_new = request.bucket_high < std::max(canary.read_share, moved);
  return {.answer = Side::New, .split = !all_on_new};
}

Plan plan_split_write(const Canary& canary, const Facts& request) {
  const std::uint32_t share = write_share(canary);
  if (!request.keyed) {
    if (splits_writes(canary)) return {.answer = Side::Old, .second = Second::Write};
    return {.answer = share == kWhole ? Side::New : Side::Old};
  }
  if (request.bucket_high < share) return {.answer = Side::New};
  if (request.bucket_low >= share) return {.answer = Side::Old};
  return {.answer = Side::Old, .split = true};
}

Plan plan_pinned(const Canary& canary, Side pinned, const Facts& request) {
  Plan plan{.answer = pinned};
  if (request.kind == Kind::Publish) plan.second = Second::Write;
  if (request.kind == Kind::Read && request.keyed && splits_writes(canary)) {
    const std::uint32_t moved = write_share(canary);
    plan.split = pinned == Side::Old ? request.bucket_low < moved
                                     : request.bucket_high >= std::max(canary.read_share, moved);
  }
  if (request.kind != Kind::Write || request.sided) return plan;
  if (is_dual_write(canary)) {
    plan = plan_dual_write(canary.write_mode->policy);
    plan.answer = pinned;
  } else if (request.keyed && splits_writes(canary)) {
    const Plan free = plan_split_write(canary, request);
    plan.split = free.split || free.answer != pinned;
  }
  return plan;
}

}  // namespace

Side home_of(const Canary& canary) {
  // A dual write leaves old in use unless it is only kept up to date: all reads and the last word
  // on writes are on new.
  if (is_dual_write(canary)) {
    const bool new_decides = canary.write_mode->policy == Policy::NewAuthoritative;
    return new_decides && canary.read_share == kWhole ? Side::New : Side::Old;
  }
  // A key whose writes moved is also read from new, so the write share alone says what old still
  // has.
  return write_share(canary) == kWhole && !canary.part ? Side::New : Side::Old;
}

bool splits_writes(const Canary& canary) {
  if (is_dual_write(canary)) return false;
  const std::uint32_t share = write_share(canary);
  return 0 < share && (share < kWhole || canary.part);
}

Plan plan_canary(const Canary& canary, const Facts& request) {
  assert(canary.read_share <= kWhole);
  assert(canary.split_by == SplitBy::Key || !splits_writes(canary));
  assert(!request.keyed || request.bucket_low <= request.bucket_high);
  if (request.pinned) return plan_pinned(canary, *request.pinned, request);
  const bool by_key = request.keyed && splits_writes(canary);
  if (request.kind == Kind::Other || (request.sided && !by_key)) {
    return {.answer = home_of(canary)};
  }
  if (request.kind == Kind::Publish) return {.answer = home_of(canary), .second = Second::Write};
  if (request.kind == Kind::Write) {
    if (is_dual_write(canary)) return plan_dual_write(canary.write_mode->policy);
    return plan_split_write(canary, request);
  }
  if (!request.keyed) return {.answer = home_of(canary)};
  if (is_dual_write(canary)) return plan_dual_read(canary, request);
  return plan_split_read(canary, request);
}

}  // namespace crossfade
