// Instants: RFC 3339, and nothing else.
#include "control/definitions/instant.h"

#include <doctest/doctest.h>

#include <string>

namespace crossfade {

TEST_CASE("instant: RFC 3339 and what is not") {
  const std::int64_t at = 1'705'284'000;  // 2024-01-15T02:00:00Z
  for (const char* text :
       {"2024-01-15T02:00:00Z", "2024-01-15t02:00:00z", "2024-01-15T02:00Z", "2024-01-15 02:00:00Z",
        "2024-01-15T02:00:00.999Z", "2024-01-15T03:30:00+01:30", "2024-01-14T21:00:00-05:00"}) {
    CAPTURE(text);
    CHECK(parse_instant(text) == at);
  }
  CHECK(parse_instant("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_instant("9999-12-31T23:59:59Z") == 253'402'300'799);
  CHECK(parse_instant("2024-02-29T00:00:00Z").has_value());
  for (const char* text :
       {"", "2024-01-15", "2024-01-15T02:00:00", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z", "2024-01-15T24:00:00Z", "2024-01-15T02:60:00Z",
        "2024-01-15T02:00:60Z", "2024-01-15T02:00:00+24:00", "2024-01-15T02:00:00ZZ",
        "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00",
        "2024-1-15T02:00:00Z", "2024-01-15T02:00:00.Z", "1705284000"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_instant(text).has_value());
  }
}

}  // namespace crossfade
