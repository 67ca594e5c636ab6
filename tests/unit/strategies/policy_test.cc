// Dual writes: whose outcome the client sees.
#include "strategies/policy.h"

#include <doctest/doctest.h>

#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

TEST_CASE("dual write: the policy's authority answers and the other side gets the write") {
  CHECK(plan_dual_write(Policy::OldAuthoritative) ==
        Plan{.answer = Side::Old, .second = Second::Write});
  CHECK(plan_dual_write(Policy::NewAuthoritative) ==
        Plan{.answer = Side::New, .second = Second::Write});
}

TEST_CASE("dual write: best effort prefers old's reply and takes new's when old failed") {
  CHECK(plan_dual_write(Policy::BestEffort) ==
        Plan{.answer = Side::Old, .second = Second::Write, .either = true});
}

}  // namespace
}  // namespace crossfade
