// Counters: buckets of latencies, and sums over loops.
#include "proxy/counters.h"

#include <doctest/doctest.h>

namespace crossfade {

TEST_CASE("latency: a sample is in the first bucket whose bound is above it") {
  for (std::uint64_t ns = 1; ns < std::uint64_t{40'000'000'000}; ns += 1 + ns / 7) {
    const std::size_t i = LatencyCounter::bucket_of_ns(ns);
    REQUIRE(i < Histogram::kBuckets);
    if (i + 1 < Histogram::kBuckets) CHECK(ns < Histogram::bound_ns(i));
    if (i > 0) CHECK(ns >= Histogram::bound_ns(i - 1));
  }
}

TEST_CASE("latency: bounds grow") {
  for (std::size_t i = 1; i < Histogram::kBuckets; ++i) {
    CHECK(Histogram::bound_ns(i) > Histogram::bound_ns(i - 1));
  }
}

TEST_CASE("counters: what two loops counted adds up") {
  InterlayCounters first;
  InterlayCounters second;
  first.requests[0][1].add(3);
  second.requests[0][1].add(4);
  first.leg[1].record(5'000, 2);
  second.leg[1].record(7'000);
  second.second[0].drop(Drop::Timeout, 5);
  second.hit(Limit::PipelineMax);
  first.refused(LoginRefused::Draining);
  second.refused(LoginRefused::Draining);
  second.sql_texts[static_cast<std::size_t>(SqlText::Broken)].set(9);
  second.down[1].set(1);
  InterlayTraffic sum;
  first.add_to(sum);
  second.add_to(sum);
  CHECK(sum.requests[0][1] == 7);
  CHECK(sum.leg[1].total == 3);
  CHECK(sum.leg[1].sum_ns == 17'000);
  CHECK(sum.second[0].dropped[static_cast<std::size_t>(Drop::Timeout)] == 5);
  CHECK(sum.limits[static_cast<std::size_t>(Limit::PipelineMax)] == 1);
  CHECK(sum.logins_refused[static_cast<std::size_t>(LoginRefused::Draining)] == 2);
  CHECK(sum.sql_texts[static_cast<std::size_t>(SqlText::Broken)] == 9);
  CHECK(sum.down[1]);
  CHECK_FALSE(sum.down[0]);
}

}  // namespace crossfade
