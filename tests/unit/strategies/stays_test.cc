// What belongs to no api that moves: read from old, and otherwise as if nobody took part yet.
#include <doctest/doctest.h>

#include "strategies/one_side.h"
#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

std::vector<Strategy> with(const std::optional<WriteMode>& mode) {
  return {BigBang{mode},
          Canary{250'000, mode},
          Canary{kWhole, mode},
          Canary{kWhole, mode, SplitBy::User},
          BlueGreen{true, mode},
          RollingUpdate{true, mode},
          Geographic{true, mode},
          TimeWindow{true, mode},
          StranglerFig{mode},
          FeatureFlag{kWhole, mode},
          FeatureFlag{kWhole, mode, SplitBy::User}};
}

// The write modes that apis can be routed with: old has all that is written.
std::vector<WriteMode> complete_modes() {
  return {{WriteMode::Mode::DualWrite, Policy::OldAuthoritative, 0},
          {WriteMode::Mode::DualWrite, Policy::BestEffort, 0},
          {WriteMode::Mode::Cutover, Policy::OldAuthoritative, 0}};
}

TEST_CASE("stays: reads are old's, whatever the strategy gives to those that move") {
  for (const WriteMode& mode : complete_modes()) {
    for (const Strategy& strategy : with(mode)) {
      for (const Facts& request : requests()) {
        if (request.kind != Kind::Read) continue;
        const Plan plan = crossfade::plan(strategy, staying(request));
        CHECK(plan == Plan{.answer = request.pinned.value_or(Side::Old)});
      }
    }
  }
}

TEST_CASE("stays: all but reads go as those of apis do, as others may read their keys from new") {
  for (const WriteMode& mode : complete_modes()) {
    for (const Strategy& strategy : with(mode)) {
      for (const Facts& request : requests()) {
        if (request.kind == Kind::Read) continue;
        CHECK(plan(strategy, staying(request)) == plan(strategy, request));
      }
      CHECK(home(strategy) == Side::Old);
      CHECK_FALSE(splits_writes(strategy));
    }
  }
}

TEST_CASE("stays: of shadow traffic nothing is copied, but writes to both sides are made") {
  const WriteMode dual{WriteMode::Mode::DualWrite, Policy::OldAuthoritative, 0};
  for (const Facts& request : requests()) {
    CHECK(plan(ShadowTraffic{}, staying(request)) ==
          Plan{.answer = request.pinned.value_or(Side::Old)});
    const Plan written = plan(ShadowTraffic{.write_mode = dual}, staying(request));
    CHECK(written.second != Second::Copy);
    if (request.pinned || request.sided || request.kind != Kind::Write) continue;
    CHECK(written == Plan{.answer = Side::Old, .second = Second::Write});
  }
}

TEST_CASE("stays: a window that is not executed moves nothing of anybody") {
  for (const WriteMode& mode : complete_modes()) {
    for (const Facts& request : requests()) {
      CHECK(plan(TimeWindow{false, mode}, staying(request)) ==
            plan(TimeWindow{false, mode}, request));
    }
  }
}

}  // namespace
}  // namespace crossfade
