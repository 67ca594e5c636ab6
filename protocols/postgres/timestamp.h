// Points in time as PostgreSQL writes them: timestamptz under DateStyle ISO.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/base/result.h"

namespace crossfade::postgres {

// Microseconds since 1970-01-01 00:00:00 UTC, without leap seconds.
struct Timestamp {
  std::int64_t us = 0;

  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};
inline constexpr Timestamp kEndless{INT64_MAX};  // "infinity"
inline constexpr Timestamp kNever{INT64_MIN};    // "-infinity"

// Reads "2026-03-01 12:30:00.25+05:30", also with "BC", and "infinity" and "-infinity", whatever
// the session's TimeZone is: the text names its distance from UTC, and must.
//   errors   BadInput: any other text, such as that of other DateStyles
Result<Timestamp> parse_timestamp(std::string_view text);

}  // namespace crossfade::postgres
