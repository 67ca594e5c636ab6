// Writes that are on new only: counted for the right migration, never forgotten, never understated
// as exact.
#include "../bench.h"

namespace crossfade {

TEST_CASE("migrations: a rollback is journalled in two steps and says what is on new only") {
  Bench bench;
  bench.add_sides();
  bench.add_running(
      "m",
      R"({"type":"canary","read_percentage":1,"write_mode":{"mode":"cutover","write_percentage":1}})");
  bench.plane.count_new_only_writes("cache", 7);
  const Answer answer = bench.life->conductor.rollback("m", bench.call);
  const Json& data = must(answer).data;
  CHECK(text_of(data, "status") == "rolled_back");
  CHECK(*data.find("new_only_writes") == Json(std::uint64_t{7}));
  CHECK(*data.find("new_only_writes_exact") == Json(true));
  CHECK(text_of(data, "message") ==
        "rolled back: all traffic is on old; 7 writes went to new only and are not on old");
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  const auto journal = bench.journal("m");
  REQUIRE(journal.size() >= 2);
  CHECK(journal[journal.size() - 2] == "running -> rolling_back by tester");
  CHECK(journal.back() == "rolling_back -> rolled_back by tester");
}

TEST_CASE("migrations: writes on new only are remembered across a crash, as at least so many") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green","active_is_new":true})");
  bench.plane.count_new_only_writes("cache", 5);
  bench.life->new_only_writes.sample();
  bench.restart();  // the data plane counts from zero again
  bench.plane.count_new_only_writes("cache", 3);
  const Answer answer = bench.life->conductor.rollback("m", bench.call);
  CHECK(*must(answer).data.find("new_only_writes") == Json(std::uint64_t{8}));
  CHECK(*must(answer).data.find("new_only_writes_exact") == Json(false));
  CHECK(text_of(must(answer).data, "message").find("at least 8 writes") != std::string::npos);
}

TEST_CASE("migrations: a crash before anything was counted is not taken for no writes") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green","active_is_new":true})");
  bench.restart();
  const Answer answer = bench.life->conductor.rollback("m", bench.call);
  CHECK(*must(answer).data.find("new_only_writes_exact") == Json(false));
}

TEST_CASE("migrations: after a clean stop the count is exact") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green","active_is_new":true})");
  bench.plane.count_new_only_writes("cache", 5);
  bench.life->new_only_writes.save_exactly();
  bench.restart();
  bench.plane.count_new_only_writes("cache", 1);
  const Answer answer = bench.life->conductor.rollback("m", bench.call);
  CHECK(*must(answer).data.find("new_only_writes") == Json(std::uint64_t{6}));
  CHECK(*must(answer).data.find("new_only_writes_exact") == Json(true));
}

TEST_CASE("migrations: writes counted before a migration began are not its own") {
  Bench bench;
  bench.add_sides();
  bench.add_running("first", R"({"type":"blue_green","active_is_new":true})");
  bench.plane.count_new_only_writes("cache", 5);
  must(bench.life->conductor.rollback("first", bench.call));
  bench.plane.count_new_only_writes("cache", 9);
  bench.add_running("second", R"({"type":"blue_green","active_is_new":true})");
  bench.plane.count_new_only_writes("cache", 11);
  const Answer answer = bench.life->conductor.rollback("second", bench.call);
  CHECK(*must(answer).data.find("new_only_writes") == Json(std::uint64_t{2}));
}

namespace {

constexpr const char* kOnNew = R"({"type":"blue_green","active_is_new":true})";

std::uint64_t counted(Bench& bench, const std::string& id) {
  const StatePtr state = bench.life->keeper.state();
  return bench.life->new_only_writes.count(*find(state->migrations, id)).writes;
}

// Migration "m" ran, so many writes went to new only, and it was rolled back; what that answered.
Answer roll_back_after(Bench& bench, std::uint64_t writes) {
  bench.add_sides();
  bench.add_running("m", kOnNew);
  bench.plane.count_new_only_writes("cache", writes);
  return bench.life->conductor.rollback("m", bench.call);
}

}  // namespace

TEST_CASE("migrations: writes between a table's adoption and the answer of migrate are counted") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kOnNew);
  bench.plane.when_published = [&] {
    bench.plane.count_new_only_writes("cache", 3);
    bench.life->new_only_writes.sample();
  };
  must(bench.life->conductor.migrate("m", bench.call));
  bench.plane.when_published = nullptr;
  CHECK(counted(bench, "m") == 3);
}

TEST_CASE("migrations: writes that end after the rollback stay those of the rolled-back one") {
  Bench bench;
  const Answer answer = roll_back_after(bench, 7);
  CHECK(*must(answer).data.find("new_only_writes") == Json(std::uint64_t{7}));
  bench.plane.count_new_only_writes("cache", 9);  // a transaction that was open
  bench.life->new_only_writes.sample();
  CHECK(counted(bench, "m") == 9);
  bench.restart();
  CHECK(counted(bench, "m") == 9);
  bench.plane.count_new_only_writes("cache", 1);  // nobody's
  bench.life->new_only_writes.sample();
  CHECK(counted(bench, "m") == 9);
}

TEST_CASE("migrations: a start that fails costs a migration none of its count") {
  Bench bench;
  must(roll_back_after(bench, 5));
  bench.plane.publishes_to_fail = 1;
  CHECK(said(bench.life->conductor.migrate("m", bench.call)).find("503") == 0);
  CHECK(counted(bench, "m") == 5);
  // A loop that took the table over before it was taken back has sent these to new.
  bench.plane.publishes_to_fail = 1;
  bench.plane.when_published = [&] { bench.plane.count_new_only_writes("cache", 7); };
  CHECK(said(bench.life->conductor.migrate("m", bench.call)).find("503") == 0);
  bench.plane.when_published = nullptr;
  CHECK(counted(bench, "m") == 7);
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(counted(bench, "m") == 0);
}

}  // namespace crossfade
