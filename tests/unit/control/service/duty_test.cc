// What one sidecar does for all, over the leases of a real store, by a clock that the tests set.
#include "control/service/duty.h"

#include <doctest/doctest.h>

#include "../temp_folder.h"
#include "control/store/state_file.h"

namespace crossfade {

namespace {

struct DutyBench {
  TempFolder folder;
  std::int64_t now_ms = 0;
  std::unique_ptr<StateFile> store =
      StateFile::open(folder.file("s.db"), 2'000, [this] { return now_ms; }).value();
  Duty make(const std::string& name = "it") { return {*store, name, std::chrono::seconds(10)}; }
};

}  // namespace

TEST_CASE("duty: it is the first one's for as long as it says so in time, then another's") {
  DutyBench bench;
  Duty one = bench.make();
  Duty two = bench.make();
  Duty else_where = bench.make("something else");
  for (int i = 0; i < 5; ++i) {
    CHECK(one.ours());
    CHECK_FALSE(two.ours());
    CHECK(else_where.ours());
    bench.now_ms += 9'000;
  }
  bench.now_ms += 1'000;
  CHECK(two.ours());
  CHECK_FALSE(one.ours());
  CHECK(two.ours());
}

TEST_CASE("duty: one that was late has it again where nobody took it") {
  DutyBench bench;
  Duty one = bench.make();
  CHECK(one.ours());
  bench.now_ms += 60'000;
  CHECK(one.ours());
  CHECK_FALSE(bench.make().ours());
}

TEST_CASE("duty: whoever lets it go leaves it to the next one at once") {
  DutyBench bench;
  Duty two = bench.make();
  {
    Duty one = bench.make();
    CHECK(one.ours());
    CHECK_FALSE(two.ours());
  }
  CHECK(two.ours());
}

}  // namespace crossfade
