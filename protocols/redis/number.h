// Lengths and counts in RESP headers, read as strictly as Redis and hiredis read them.
//
// Both sides of the protocol use it: what string2ll() of the real implementations refuses (a plus
// sign, a leading zero, a space, an overflow) is refused here, so that framing never differs from
// theirs.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crossfade::redis {

enum class NumberState : std::uint8_t { Whole, NeedMore, Broken };
struct Number {
  NumberState state;
  std::int64_t value = 0;
  std::size_t size = 0;  // characters before the '\r'
};

// Reads a decimal number that a '\r' must follow.
//   from, to   the bytes after the type byte; may end anywhere
//   NeedMore   a number so far, but no '\r' yet
//   cost       O(digits), no allocation
inline Number read_number(const char* from, const char* to) {
  const char* at = from;
  const bool negative = at < to && *at == '-';
  if (negative) ++at;
  if (at == to) return {NumberState::NeedMore};
  const auto first = static_cast<unsigned>(*at - '0');
  if (first > 9) return {NumberState::Broken};
  std::uint64_t value = first;
  ++at;
  if (first == 0) {  // "0" stands alone; "-0" and "01" are no numbers
    if (negative) return {NumberState::Broken};
  } else {
    while (at < to) {
      const auto digit = static_cast<unsigned>(*at - '0');
      if (digit > 9) break;
      // 18 digits never overflow; beyond them every step is checked.
      if (value > (INT64_MAX - std::uint64_t{9}) / 10) {
        const std::uint64_t limit = std::uint64_t{INT64_MAX} + (negative ? 1 : 0);
        if (value > (limit - digit) / 10) return {NumberState::Broken};
      }
      value = value * 10 + digit;
      ++at;
    }
  }
  if (at == to) return {NumberState::NeedMore};
  if (*at != '\r') return {NumberState::Broken};
  const auto wide = negative ? ~value + 1 : value;
  return {NumberState::Whole, static_cast<std::int64_t>(wide), static_cast<std::size_t>(at - from)};
}

}  // namespace crossfade::redis
