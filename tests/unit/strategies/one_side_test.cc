// One side serves everything, or everything that is read: who that side is, and what a write mode
// changes.
#include "strategies/one_side.h"

#include <doctest/doctest.h>

#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

struct Chosen {
  Strategy strategy;
  Side side;
};

// Every strategy that gives one side all reads, in each of its positions.
std::vector<Chosen> chosen(const std::optional<WriteMode>& write_mode = std::nullopt) {
  return {{BigBang{write_mode}, Side::New},
          {BlueGreen{false, write_mode}, Side::Old},
          {BlueGreen{true, write_mode}, Side::New},
          {RollingUpdate{false, write_mode}, Side::Old},
          {RollingUpdate{true, write_mode}, Side::New},
          {Geographic{false, write_mode}, Side::Old},
          {Geographic{true, write_mode}, Side::New},
          {TimeWindow{true, write_mode}, Side::New}};
}

std::vector<WriteMode> write_modes() {
  std::vector<WriteMode> all;
  for (const Policy policy : kPolicies) all.push_back({WriteMode::Mode::DualWrite, policy, 0});
  for (const std::uint32_t share : kShares) {
    all.push_back({WriteMode::Mode::Cutover, Policy::OldAuthoritative, share});
  }
  return all;
}

TEST_CASE("one side: everything is answered by it, unless its session is pinned") {
  for (const auto& [strategy, side] : chosen()) {
    for (const Facts& request : requests()) {
      CHECK(plan(strategy, request).answer == request.pinned.value_or(side));
    }
    CHECK(home(strategy) == side);
    CHECK_FALSE(splits_writes(strategy));
    CHECK_FALSE(dual_write_authority(strategy).has_value());
  }
}

TEST_CASE("one side: the other hears only what is published") {
  for (const auto& [strategy, side] : chosen()) {
    for (const Facts& request : requests()) {
      const Plan plan = crossfade::plan(strategy, request);
      CHECK(plan.second == (request.kind == Kind::Publish ? Second::Write : Second::Nothing));
      CHECK_FALSE(plan.either);
      CHECK_FALSE(plan.fallback);
      CHECK_FALSE(plan.split);
    }
  }
}

TEST_CASE("one side: with a write mode its reads stay, and writes go as a canary's would") {
  for (const WriteMode& mode : write_modes()) {
    for (const auto& [strategy, side] : chosen(mode)) {
      const Canary canary{side == Side::New ? kWhole : 0, mode};
      for (const Facts& request : requests()) {
        CHECK(plan(strategy, request) == plan_canary(canary, request));
      }
      CHECK(home(strategy) == home(canary));
      CHECK(splits_writes(strategy) == splits_writes(canary));
      CHECK(dual_write_authority(strategy) == dual_write_authority(canary));
    }
  }
}

TEST_CASE("time_window: before it is executed everything is on old, whatever its write mode") {
  for (const WriteMode& mode : write_modes()) {
    const TimeWindow waiting{false, mode};
    for (const Facts& request : requests()) {
      CHECK(plan_time_window(waiting, request) == plan_blue_green({false}, request));
    }
    CHECK(home(waiting) == Side::Old);
    CHECK_FALSE(splits_writes(waiting));
    CHECK_FALSE(dual_write_authority(waiting).has_value());
  }
}

}  // namespace
}  // namespace crossfade
