// Plans: facts of one request + a migration -> where it goes.
//
// Pure: no I/O, no clock, no randomness. The proxy computes a plan once per request and never
// derives it again from the bytes.
#pragma once

#include <cstdint>
#include <optional>

#include "protocols/base/bucket.h"
#include "protocols/base/kind.h"

namespace crossfade {

enum class Side : std::uint8_t { Old, New };
inline constexpr std::size_t kSides = 2;
constexpr const char* name_of(Side side) { return side == Side::Old ? "old" : "new"; }
constexpr Side other(Side side) { return side == Side::Old ? Side::New : Side::Old; }

// The bucket of what no share reaches, not the whole either: keys that do not take part.
inline constexpr std::uint32_t kBeyond = kWhole;

// What one request is, as far as strategies care.
struct Facts {
  Kind kind = Kind::Other;
  bool keyed = false;            // bucket_low/high are meaningful
  std::uint32_t bucket_low = 0;  // smallest and largest bucket of its keys, up to kBeyond
  std::uint32_t bucket_high = 0;
  std::uint32_t caller_bucket = 0;  // of who asks, as the strategy's split_by says
  bool sided = false;  // belongs to one side's own state (cursors, script SHAs, server info)
  bool stays = false;  // of a migration of apis: belongs to none that moves
  std::optional<Side> pinned;  // the session must stay on this side (MULTI, WATCH, subscription, …)

  bool operator==(const Facts&) const = default;
};

// What the side that does not answer gets.
enum class Second : std::uint8_t {
  Nothing,
  Copy,  // shadow: dropped when it would be felt, compared
  Write  // dual write: its failure is counted
};

struct Plan {
  Side answer = Side::Old;
  Second second = Second::Nothing;
  bool either = false;  // best_effort: an error of `answer` is replaced by the second leg's success
  bool fallback = false;  // a read that fails on `answer` may be asked of the other side instead
  bool split = false;     // its keys lie on both sides of a split whose histories differ: refuse it

  bool operator==(const Plan&) const = default;
};

}  // namespace crossfade
