// The strategy in force is the one that is asked.
#include "strategies/migration.h"

#include <doctest/doctest.h>

#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

TEST_CASE("plan: asks the strategy in force") {
  const Canary canary = dual_write(250'000, Policy::BestEffort);
  for (const Facts& request : requests()) {
    CHECK(plan(BigBang{}, request) == plan_big_bang({}, request));
    CHECK(plan(canary, request) == plan_canary(canary, request));
    CHECK(plan(BlueGreen{true}, request) == plan_blue_green({true}, request));
    CHECK(plan(ShadowTraffic{}, request) == plan_shadow_traffic({}, request));
  }
}

TEST_CASE("plan: a published message reaches both sides under every strategy") {
  std::vector<Strategy> strategies{BigBang{}, BlueGreen{false}, BlueGreen{true}, ShadowTraffic{}};
  for (const Canary& canary : canaries()) strategies.emplace_back(canary);
  for (const Strategy& strategy : strategies) {
    const bool shadow = std::holds_alternative<ShadowTraffic>(strategy);
    const Plan published = plan(strategy, keyless(Kind::Publish));
    CHECK(published.answer == home(strategy));
    CHECK(published.second == (shadow ? Second::Copy : Second::Write));
  }
}

TEST_CASE("plan: what belongs to one side's own state is answered at home") {
  std::vector<Strategy> strategies{BigBang{}, BlueGreen{false}, BlueGreen{true}, ShadowTraffic{}};
  for (const Canary& canary : canaries()) strategies.emplace_back(canary);
  for (const Strategy& strategy : strategies) {
    CHECK(plan(strategy, keyless(Kind::Other)) == Plan{.answer = home(strategy)});
    CHECK(plan(strategy, sided(keyless(Kind::Read))) == Plan{.answer = home(strategy)});
  }
}

}  // namespace
}  // namespace crossfade
