// The strategy in force is the one that is asked.
#include "strategies/migration.h"

#include <doctest/doctest.h>

#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

std::vector<Strategy> strategies() {
  std::vector<Strategy> all{BigBang{},         BlueGreen{false},     BlueGreen{true},
                            ShadowTraffic{},   RollingUpdate{false}, RollingUpdate{true},
                            Geographic{false}, Geographic{true},     TimeWindow{false},
                            TimeWindow{true},  StranglerFig{},       FeatureFlag{0},
                            FeatureFlag{1},    FeatureFlag{kWhole}};
  for (const Canary& canary : canaries()) all.emplace_back(canary);
  return all;
}

TEST_CASE("plan: asks the strategy in force") {
  const Canary canary = dual_write(250'000, Policy::BestEffort);
  for (const Facts& request : requests()) {
    CHECK(plan(BigBang{}, request) == plan_big_bang({}, request));
    CHECK(plan(canary, request) == plan_canary(canary, request));
    CHECK(plan(BlueGreen{true}, request) == plan_blue_green({true}, request));
    CHECK(plan(ShadowTraffic{}, request) == plan_shadow_traffic({}, request));
    CHECK(plan(RollingUpdate{true}, request) == plan_rolling_update({true}, request));
    CHECK(plan(Geographic{true}, request) == plan_geographic({true}, request));
    CHECK(plan(TimeWindow{true}, request) == plan_time_window({true}, request));
    CHECK(plan(StranglerFig{}, request) == plan_strangler_fig({}, request));
    CHECK(plan(FeatureFlag{1}, request) == plan_feature_flag({1}, request));
  }
}

TEST_CASE("plan: a published message reaches both sides under every strategy") {
  for (const Strategy& strategy : strategies()) {
    const bool shadow = std::holds_alternative<ShadowTraffic>(strategy);
    const Plan published = plan(strategy, keyless(Kind::Publish));
    CHECK(published.answer == home(strategy));
    CHECK(published.second == (shadow ? Second::Copy : Second::Write));
  }
}

TEST_CASE("plan: what belongs to one side's own state is answered at home") {
  for (const Strategy& strategy : strategies()) {
    CHECK(plan(strategy, keyless(Kind::Other)) == Plan{.answer = home(strategy)});
    CHECK(plan(strategy, sided(keyless(Kind::Read))) == Plan{.answer = home(strategy)});
  }
}

}  // namespace
}  // namespace crossfade
