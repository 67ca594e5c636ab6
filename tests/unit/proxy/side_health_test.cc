// SideHealth: when a side that failed is tried again.
#include "proxy/side_health.h"

#include <doctest/doctest.h>

namespace crossfade {

namespace {
constexpr std::uint64_t kMs = 1'000'000;
constexpr std::uint64_t kMax = 2'000 * kMs;
}  // namespace

TEST_CASE("side health: a side that never failed may always be tried") {
  SideHealth health(kMax);
  for (std::uint64_t now = 0; now < 10 * kMs; now += kMs) CHECK(health.try_now(now));
}

TEST_CASE(
    "side health: after a failure nothing is sent until the back-off is over, then one probe") {
  SideHealth health(kMax);
  health.failed(0);
  CHECK(health.down());
  CHECK_FALSE(health.try_now(99 * kMs));
  CHECK(health.try_now(100 * kMs));
  CHECK_FALSE(health.try_now(100 * kMs));
  CHECK_FALSE(health.try_now(199 * kMs));
}

TEST_CASE("side health: a probe that is never heard of is followed by another") {
  SideHealth health(kMax);
  health.failed(0);
  CHECK(health.try_now(100 * kMs));
  CHECK(health.try_now(200 * kMs));
}

TEST_CASE(
    "side health: many reports of one failure count once, failures over time back off to the "
    "limit") {
  SideHealth health(kMax);
  for (int i = 0; i < 1000; ++i) health.failed(5 * kMs);
  CHECK(health.try_now(105 * kMs));
  std::uint64_t now = 105 * kMs;
  for (int i = 0; i < 20; ++i) {
    health.failed(now);
    now += kMax;
  }
  health.failed(now);
  CHECK_FALSE(health.try_now(now + kMax - 1));
  CHECK(health.try_now(now + kMax));
}

TEST_CASE("side health: one success opens it fully") {
  SideHealth health(kMax);
  health.failed(0);
  health.succeeded();
  CHECK_FALSE(health.down());
  CHECK(health.try_now(0));
  CHECK(health.try_now(0));
}

}  // namespace crossfade
