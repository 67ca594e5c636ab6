// Strategies of a part of the keys: those beyond any share are on old, with all that is done to
// them; for the others it is as if there were no others.
#include <doctest/doctest.h>

#include "strategies/canary.h"
#include "strategies/one_side.h"
#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

const WriteMode kHalf{WriteMode::Mode::Cutover, Policy::OldAuthoritative, 500'000};

// Each with the share that its keys are written on new.
std::vector<std::pair<Strategy, std::uint32_t>> strategies() {
  return {{BigBang{}, kWhole},
          {BlueGreen{true}, kWhole},
          {BlueGreen{false}, 0},
          {RollingUpdate{true}, kWhole},
          {RollingUpdate{false}, 0},
          {Geographic{true}, kWhole},
          {TimeWindow{true}, kWhole},
          {TimeWindow{false}, 0},
          {Canary{250'000, {}}, 250'000},
          {Canary{kWhole, {}}, kWhole},
          {Canary{0, {}}, 0},
          {Canary{250'000, kHalf}, 500'000},
          {BlueGreen{true, kHalf}, 500'000}};
}

TEST_CASE("part: keys that move do as they would if all did") {
  for (const auto& [strategy, share] : strategies()) {
    for (const Kind kind : {Kind::Read, Kind::Write}) {
      for (const std::uint32_t bucket : kBuckets) {
        const Facts request = on_key(kind, bucket);
        CHECK(plan(of_part(strategy), request) == plan(strategy, request));
      }
    }
  }
}

TEST_CASE("part: keys beyond are on old, and no request has both") {
  for (const auto& [strategy, share] : strategies()) {
    const Canary part = of_part(strategy);
    for (const Kind kind : {Kind::Read, Kind::Write}) {
      CHECK(plan(part, on_key(kind, kBeyond)) == Plan{.answer = Side::Old});
      for (const std::uint32_t bucket : kBuckets) {
        const Plan mixed = plan(part, on_keys(kind, bucket, kBeyond));
        CHECK(mixed.split == (bucket < share));
        if (!mixed.split) CHECK(mixed.answer == Side::Old);
      }
      for (const Side pin : {Side::Old, Side::New}) {
        const Plan pinned_there = plan(part, pinned(on_key(kind, kBeyond), pin));
        CHECK(pinned_there.answer == pin);
        CHECK(pinned_there.split == (pin == Side::New && share > 0));
      }
    }
  }
}

TEST_CASE("part: what has no key is old's, and what all servers should hear goes to both") {
  for (const auto& [strategy, share] : strategies()) {
    const Canary part = of_part(strategy);
    CHECK(home(part) == Side::Old);
    CHECK(splits_writes(part) == (share > 0));
    CHECK(plan(part, keyless(Kind::Read)) == Plan{.answer = Side::Old});
    CHECK(plan(part, keyless(Kind::Other)) == Plan{.answer = Side::Old});
    CHECK(plan(part, keyless(Kind::Publish)) == Plan{.answer = Side::Old, .second = Second::Write});
    const Second second = share > 0 ? Second::Write : Second::Nothing;
    CHECK(plan(part, keyless(Kind::Write)) == Plan{.answer = Side::Old, .second = second});
  }
}

}  // namespace
}  // namespace crossfade
