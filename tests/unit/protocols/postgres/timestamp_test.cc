// Timestamps: what PostgreSQL writes is read to the microsecond, and nothing else is.
#include "protocols/postgres/timestamp.h"

#include <doctest/doctest.h>

#include <string>

namespace crossfade::postgres {
namespace {

std::int64_t us_of(std::string_view text) {
  const Result<Timestamp> time = parse_timestamp(text);
  CAPTURE(text);
  REQUIRE(time.ok());
  return time.value().us;
}

TEST_CASE("timestamp: what a server writes is the moment that it means") {
  constexpr std::int64_t kSecond = 1'000'000;
  // Seconds as `extract(epoch from ...)` of PostgreSQL 15 gives them.
  CHECK(us_of("1970-01-01 00:00:00+00") == 0);
  CHECK(us_of("2000-01-01 00:00:00+00") == 946'684'800 * kSecond);
  CHECK(us_of("2024-02-29 12:34:56.789012+00") == 1'709'210'096'789'012);
  CHECK(us_of("2024-02-29 12:34:56.5+05:30") == 1'709'190'296'500'000);
  CHECK(us_of("1890-06-01 00:00:00-00:25:21") == -2'511'473'679 * kSecond);
  CHECK(us_of("1969-12-31 23:59:59.999999+00") == -1);
  CHECK(us_of("12026-03-01 00:00:00+00") == 317'341'843'200 * kSecond);
  CHECK(us_of("294246-12-31 23:59:59.999999+00") == 9'223'371'244'799'999'999);
  CHECK(us_of("294247-01-01 00:00:00+00") == kEndless.us);
  CHECK(us_of("294276-12-31 23:59:59.999999+00") == kEndless.us);
  CHECK(us_of("0044-03-15 00:00:00+00 BC") == -63'517'824'000 * kSecond);
  CHECK(us_of("4713-01-01 00:00:00+00 BC") == -210'863'520'000 * kSecond);
  CHECK(us_of("infinity") == kEndless.us);
  CHECK(us_of("-infinity") == kNever.us);
}

TEST_CASE("timestamp: no part of one is one") {
  const std::string whole = "2024-02-29 12:34:56.789012+05:30:15 BC";
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::string part = whole.substr(0, size);
    CAPTURE(part);
    const bool at_field =
        part.ends_with("+05") || part.ends_with("+05:30") || part.ends_with(":15");
    CHECK(parse_timestamp(part).ok() == at_field);
  }
}

TEST_CASE("timestamp: other texts are refused") {
  for (const char* const text : {"",
                                 "2024-02-29",
                                 "2024-02-29 12:34:56",
                                 "Thu Feb 29 12:34:56 2024 UTC",
                                 "02/29/2024 12:34:56 UTC",
                                 "29.02.2024 12:34:56 UTC",
                                 "2024-02-29 12:34:56 UTC",
                                 "2024-02-29T12:34:56+00",
                                 "2024-02-30 00:00:00+00",
                                 "2023-02-29 00:00:00+00",
                                 "1900-02-29 00:00:00+00",
                                 "2024-13-01 00:00:00+00",
                                 "2024-00-01 00:00:00+00",
                                 "2024-01-00 00:00:00+00",
                                 "2024-04-31 00:00:00+00",
                                 "2024-01-01 24:00:00+00",
                                 "2024-01-01 00:60:00+00",
                                 "2024-01-01 00:00:60+00",
                                 "2024-01-01 00:00:00.+00",
                                 "2024-01-01 00:00:00.1234567+00",
                                 "2024-01-01 00:00:00+0",
                                 "2024-01-01 00:00:00+16",
                                 "2024-01-01 00:00:00*00",
                                 "0000-01-01 00:00:00+00",
                                 "1000000-01-01 00:00:00+00",
                                 "2024-01-01 00:00:00+00 ",
                                 "2024-01-01 00:00:00+00 AD",
                                 "Infinity",
                                 "+infinity",
                                 "-2024-01-01 00:00:00+00"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_timestamp(text).ok());
  }
}

}  // namespace
}  // namespace crossfade::postgres
