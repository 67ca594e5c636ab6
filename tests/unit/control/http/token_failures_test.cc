// Failures by address: bounded for each, and bounded in what is remembered.
#include "control/http/token_failures.h"

#include <doctest/doctest.h>

#include "control/http/refusal_log.h"

namespace crossfade {

namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

const Allowance::Clock::time_point kStart{std::chrono::hours(1)};

TokenFailureLimits limits(std::uint32_t at_once, std::uint32_t per_minute,
                          std::uint32_t peers_max = 10) {
  return {.rate = {.at_once = at_once, .per_minute = per_minute}, .peers_max = peers_max};
}

}  // namespace

TEST_CASE("token failures: so many at once, then as many as time gives back") {
  TokenFailures failures(limits(3, 6));
  for (int i = 0; i < 3; ++i) CHECK_FALSE(failures.fail("10.0.0.1", kStart).has_value());
  CHECK(failures.fail("10.0.0.1", kStart) == seconds(10));
  CHECK(failures.fail("10.0.0.1", kStart + milliseconds(9500)) == seconds(1));
  CHECK_FALSE(failures.fail("10.0.0.1", kStart + seconds(10)).has_value());
  CHECK(failures.fail("10.0.0.1", kStart + seconds(10)) == seconds(10));
  CHECK(failures.counts().failed == 7);
  CHECK(failures.counts().refused == 3);
}

TEST_CASE("token failures: what was refused does not count, and all of it is back in time") {
  TokenFailures failures(limits(2, 60));
  for (int i = 0; i < 1000; ++i) failures.fail("10.0.0.1", kStart);
  for (int i = 0; i < 2; ++i) CHECK_FALSE(failures.fail("10.0.0.1", kStart + seconds(2)));
  CHECK(failures.fail("10.0.0.1", kStart + seconds(2)).has_value());
  // Never more than at once, however long nobody failed.
  for (int i = 0; i < 2; ++i) CHECK_FALSE(failures.fail("10.0.0.1", kStart + minutes(60)));
  CHECK(failures.fail("10.0.0.1", kStart + minutes(60)).has_value());
}

TEST_CASE("token failures: one address is not kept out by another") {
  TokenFailures failures(limits(1, 1));
  CHECK_FALSE(failures.fail("10.0.0.1", kStart).has_value());
  CHECK(failures.fail("10.0.0.1", kStart).has_value());
  CHECK_FALSE(failures.fail("10.0.0.2", kStart).has_value());
}

TEST_CASE("token failures: of more addresses than are remembered the oldest is forgotten") {
  TokenFailures failures(limits(1, 1, 2));
  CHECK_FALSE(failures.fail("a", kStart).has_value());
  CHECK_FALSE(failures.fail("b", kStart).has_value());
  CHECK(failures.fail("a", kStart).has_value());        // now b is the oldest
  CHECK_FALSE(failures.fail("c", kStart).has_value());  // forgets b
  CHECK(failures.peers() == 2);
  CHECK(failures.fail("a", kStart).has_value());
  CHECK_FALSE(failures.fail("b", kStart).has_value());  // forgets c
  CHECK(failures.fail("a", kStart).has_value());
  for (int i = 0; i < 1000; ++i) failures.fail(std::to_string(i), kStart);
  CHECK(failures.peers() == 2);
}

TEST_CASE("token failures: the largest limits there are do not overflow") {
  TokenFailures failures(limits(1'000'000, 1));
  for (int i = 0; i < 1'000'000; ++i) {
    if (failures.fail("a", kStart)) FAIL("refused too early: ", i);
  }
  CHECK(failures.fail("a", kStart) == seconds(60));
}

TEST_CASE("token failures: an address of IPv6 is one of its /64") {
  CHECK(network_of("10.0.0.1") == "10.0.0.1");
  CHECK(network_of("::ffff:10.0.0.1") == "10.0.0.1");
  CHECK(network_of("2001:db8:1:2:3:4:5:6") == "2001:db8:1:2::/64");
  CHECK(network_of("2001:db8:1:2:ffff::1") == "2001:db8:1:2::/64");
  CHECK(network_of("2001:db8:1:3::1") != "2001:db8:1:2::/64");
  CHECK(network_of("fe80::1%lo") == "fe80::/64");
  CHECK(network_of("") == "");
}

TEST_CASE("refusal log: a flood leaves few lines, which say how many are missing") {
  RefusalLog log(2);
  const auto line = [&](Allowance::Clock::time_point now) {
    return log.line(401, "10.0.0.1", "GET", "/api/v1/migrations", "", now);
  };
  const std::string plain = "control port: 401 for 10.0.0.1: GET /api/v1/migrations";
  CHECK(line(kStart) == plain);
  CHECK(line(kStart) == plain);
  for (int i = 0; i < 1000; ++i) CHECK(line(kStart).empty());
  CHECK(line(kStart + seconds(30)) == plain + " (and 1000 others before it)");
  CHECK(line(kStart + seconds(60)) == plain);
}

TEST_CASE("refusal log: a line is one line, whatever a stranger sends") {
  RefusalLog log(100);
  CHECK(log.line(403, "10.0.0.1", "POST", "/a\n b\x1b[1m\xff", "rd", kStart) ==
        "control port: 403 for 10.0.0.1, token rd: POST /a??b?[1m?");
  const std::string line = log.line(401, "p", "GET", std::string(5000, 'x'), "", kStart);
  CHECK(line == "control port: 401 for p: GET " + std::string(200, 'x') + "...");
}

}  // namespace crossfade
