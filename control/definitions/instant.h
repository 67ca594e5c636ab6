// Instants as callers write them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace crossfade {

// Reads a date and time of day with its offset, to the second; what is finer is dropped.
//   text    "2024-01-15T02:00:00Z", "2024-01-15T03:00+01:00"; years 1970 to 9999, in UTC, too
//   errors  nullopt: not such a text, or a day that is in no calendar
//   source  RFC 3339, 5.6; seconds may be left out, as ISO 8601 has it
std::optional<std::int64_t> parse_instant(std::string_view text);

}  // namespace crossfade
