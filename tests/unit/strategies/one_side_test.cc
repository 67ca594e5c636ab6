// Big bang and blue-green: one side serves everything.
#include "strategies/one_side.h"

#include <doctest/doctest.h>

#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

TEST_CASE("big_bang: everything is answered by new, unless its session is pinned") {
  for (const Facts& request : requests()) {
    CHECK(plan_big_bang({}, request).answer == request.pinned.value_or(Side::New));
  }
  CHECK(home(BigBang{}) == Side::New);
  CHECK_FALSE(splits_writes(BigBang{}));
}

TEST_CASE("blue_green: everything is answered by the active side, unless its session is pinned") {
  for (const bool active_is_new : {false, true}) {
    const BlueGreen blue_green{active_is_new};
    const Side active = active_is_new ? Side::New : Side::Old;
    for (const Facts& request : requests()) {
      CHECK(plan_blue_green(blue_green, request).answer == request.pinned.value_or(active));
    }
    CHECK(home(blue_green) == active);
    CHECK_FALSE(splits_writes(blue_green));
  }
}

TEST_CASE("one side: the other hears only what is published") {
  for (const Side side : {Side::Old, Side::New}) {
    for (const Facts& request : requests()) {
      const Plan plan = plan_one_side(side, request);
      CHECK(plan.second == (request.kind == Kind::Publish ? Second::Write : Second::Nothing));
      CHECK_FALSE(plan.either);
      CHECK_FALSE(plan.fallback);
      CHECK_FALSE(plan.split);
    }
  }
}

}  // namespace
}  // namespace crossfade
