// Shadow traffic: nothing that new does can be felt.
#include <doctest/doctest.h>

#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

TEST_CASE("shadow_traffic: old answers everything, unless its session is pinned to new") {
  for (const Facts& request : requests()) {
    CHECK(plan_shadow_traffic({}, request).answer == request.pinned.value_or(Side::Old));
  }
  CHECK(home(ShadowTraffic{}) == Side::Old);
  CHECK_FALSE(splits_writes(ShadowTraffic{}));
}

TEST_CASE("shadow_traffic: new gets at most a copy, and nobody waits for it or falls back to it") {
  for (const Facts& request : requests()) {
    const Plan plan = plan_shadow_traffic({}, request);
    CHECK(plan.second != Second::Write);
    CHECK_FALSE(plan.either);
    CHECK_FALSE(plan.fallback);
    CHECK_FALSE(plan.split);
  }
}

TEST_CASE("shadow_traffic: reads, writes and messages are copied, transactions included") {
  for (const Kind kind : {Kind::Read, Kind::Write, Kind::Publish}) {
    for (const Facts& request : {keyless(kind), on_key(kind, 0), on_key(kind, kWhole - 1)}) {
      CHECK(plan_shadow_traffic({}, request).second == Second::Copy);
      CHECK(plan_shadow_traffic({}, pinned(request, Side::Old)).second == Second::Copy);
      CHECK(plan_shadow_traffic({}, pinned(request, Side::New)).second == Second::Nothing);
    }
  }
}

TEST_CASE("shadow_traffic: with a write mode old decides writes that both get; reads are copied") {
  const ShadowTraffic shadow{.write_mode = WriteMode{}};
  for (const Facts& request : requests()) {
    const Plan plan = plan_shadow_traffic(shadow, request);
    const Plan without = plan_shadow_traffic({}, request);
    CHECK(plan.answer == without.answer);
    const bool write = request.kind != Kind::Read && without.second == Second::Copy;
    CHECK(plan.second == (write ? Second::Write : without.second));
    CHECK_FALSE(plan.either);
  }
  CHECK(dual_write_authority(shadow) == Side::Old);
  CHECK(home(shadow) == Side::Old);
}

TEST_CASE("shadow_traffic: without writes only reads are copied, whatever they are pinned to") {
  for (const Facts& request : requests()) {
    const Plan plan = plan_shadow_traffic({.writes = false}, request);
    const bool copied = plan_shadow_traffic({}, request).second == Second::Copy;
    CHECK((plan.second == Second::Copy) == (copied && request.kind == Kind::Read));
  }
}

TEST_CASE("shadow_traffic: a larger sample only adds, none is nobody and all is everybody") {
  for (const Facts& request : requests()) {
    bool before = false;
    for (const std::uint32_t share : {0u, 1u, kWhole / 2, kWhole - 1, kWhole}) {
      const bool copied =
          plan_shadow_traffic({.sample_share = share}, request).second == Second::Copy;
      CHECK((copied || !before));
      before = copied;
    }
    CHECK(plan_shadow_traffic({.sample_share = kWhole}, request) ==
          plan_shadow_traffic({}, request));
    if (request.keyed)
      CHECK(plan_shadow_traffic({.sample_share = 0}, request).second == Second::Nothing);
  }
}

TEST_CASE("shadow_traffic: what belongs to one side's own state is never copied") {
  for (const Facts& request : requests()) {
    if (!request.sided && request.kind != Kind::Other) continue;
    CHECK(plan_shadow_traffic({}, request).second == Second::Nothing);
  }
}

}  // namespace
}  // namespace crossfade
