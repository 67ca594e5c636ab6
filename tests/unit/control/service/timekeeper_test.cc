// Windows of time by a clock that the tests set: when what happens, what is told, what a restart
// leaves.
#include "control/service/timekeeper.h"

#include <doctest/doctest.h>

#include "../bench.h"

namespace crossfade {

namespace {

constexpr std::int64_t kStart = 1'705'284'000;  // 2024-01-15T02:00:00Z
constexpr std::int64_t kEnd = kStart + 7'200;
constexpr const char* kWindow =
    R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z"})";

struct WindowBench : Bench {
  WindowBench() { add_sides(); }

  void look_at(std::int64_t time) {
    now = time;
    life->timekeeper.look();
  }
  Side side() {
    const auto& strategy = plane.route("cache").strategy;
    return strategy ? home(*strategy) : Side::Old;
  }
  std::string of(const char* member) {
    return text_of(must(life->migrations.get("m", call)).data, member);
  }
  bool executed() {
    const Json data = must(life->migrations.get("m", call)).data;
    return *data.find("strategy")->find("executed")->boolean();
  }
  bool said_why(const std::string& words) { return of("reason").find(words) != std::string::npos; }
  void down(bool is) {
    if (is) {
      told.up.erase(2);
    } else {
      told.up[2] = ToldServers::healthy();
    }
  }
};

}  // namespace

TEST_CASE("time_window: old before it opens, new from then on, by itself") {
  WindowBench bench;
  bench.add_ready("m", kWindow);
  bench.look_at(kStart + 60);
  CHECK(bench.status("m") == "ready");  // it was not started
  bench.now = kStart - 100;
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(bench.said_why("everything stays on old until 2024-01-15T02:00:00Z"));
  for (const std::int64_t time : {kStart - 100, kStart - 1}) {
    bench.look_at(time);
    CHECK(bench.status("m") == "running");
    CHECK(bench.side() == Side::Old);
    CHECK_FALSE(bench.executed());
  }
  bench.look_at(kStart);
  CHECK(bench.side() == Side::New);
  CHECK(bench.executed());
  CHECK(bench.status("m") == "completed");
  CHECK(bench.said_why("executed: its window has opened; everything is on new"));
  bench.look_at(kEnd + 1);  // finished: the end is nothing to it
  CHECK(bench.status("m") == "completed");
  bench.restart();
  bench.look_at(kEnd + 2);
  CHECK(bench.side() == Side::New);
  CHECK(bench.executed());
}

TEST_CASE("time_window: a restart before, in and after the window routes as before it") {
  WindowBench bench;
  bench.add_running("m", kWindow);
  bench.restart();
  CHECK(bench.side() == Side::Old);
  bench.look_at(kStart - 1);
  CHECK(bench.side() == Side::Old);
  bench.now = kStart + 90;  // the process was down when it opened
  bench.restart();
  CHECK(bench.side() == Side::Old);
  bench.life->timekeeper.look();
  CHECK(bench.side() == Side::New);
  CHECK(bench.said_why("its window has opened, 90 s ago"));
}

TEST_CASE("time_window: one that was missed is taken back, and says so") {
  WindowBench bench;
  bench.add_running("m", kWindow);
  bench.now = kEnd;
  bench.restart();
  CHECK(bench.side() == Side::Old);
  bench.life->timekeeper.look();
  CHECK(bench.status("m") == "rolled_back");
  CHECK(bench.side() == Side::Old);
  CHECK(bench.said_why("the window from 2024-01-15T02:00:00Z to 2024-01-15T04:00:00Z was missed"));
  CHECK(bench.said_why("rolled back: all traffic is on old"));
  CHECK(bench.journal("m").back() == "rolling_back -> rolled_back by crossfade");
}

TEST_CASE("time_window: what can not be executed is tried again until the end, then taken back") {
  WindowBench bench;
  bench.add_running("m", kWindow);
  bench.down(true);
  bench.look_at(kStart);
  CHECK(bench.side() == Side::Old);
  CHECK(bench.said_why("not executed, tried again until 2024-01-15T04:00:00Z: the test of"));
  const auto lines = bench.journal("m").size();
  for (std::int64_t time = kStart + 1; time < kStart + 30; ++time) bench.look_at(time);
  CHECK(bench.journal("m").size() == lines);  // told once
  SUBCASE("it comes back in time") {
    bench.down(false);
    bench.look_at(kStart + 40);
    CHECK(bench.status("m") == "completed");
    CHECK(bench.side() == Side::New);
  }
  SUBCASE("it does not") {
    bench.look_at(kEnd);
    CHECK(bench.status("m") == "rolled_back");
    CHECK(bench.said_why("has ended and the migration could not be executed: the test of"));
  }
}

TEST_CASE("time_window: loops that do not take the table over leave it on old, to be tried again") {
  WindowBench bench;
  bench.add_running("m", kWindow);
  bench.plane.publishes_to_fail = 1;
  bench.look_at(kStart);
  CHECK(bench.side() == Side::Old);
  CHECK_FALSE(bench.executed());
  CHECK(bench.status("m") == "running");
  bench.look_at(kStart + 10);
  CHECK(bench.side() == Side::New);
}

TEST_CASE("time_window: one that was started by force is executed by force") {
  WindowBench bench;
  bench.down(true);
  bench.add_ready("m", kWindow);
  bench.call.force = true;
  must(bench.life->conductor.migrate("m", bench.call));
  bench.restart();
  bench.look_at(kStart);
  CHECK(bench.side() == Side::New);
}

TEST_CASE("time_window: while it is paused nothing happens, and resume makes up for it") {
  WindowBench bench;
  bench.add_running("m", kWindow);
  must(bench.life->conductor.pause("m", bench.call));
  bench.look_at(kStart + 10);
  CHECK(bench.side() == Side::Old);
  SUBCASE("within the window") {
    must(bench.life->conductor.resume("m", bench.call));
    bench.look_at(kStart + 20);
    CHECK(bench.side() == Side::New);
  }
  SUBCASE("after it") {
    bench.look_at(kEnd + 10);
    CHECK(bench.status("m") == "paused");
    must(bench.life->conductor.resume("m", bench.call));
    bench.look_at(kEnd + 20);
    CHECK(bench.status("m") == "rolled_back");
    CHECK(bench.said_why("was missed"));
  }
}

TEST_CASE("time_window: a PATCH moves it while it waits; an ended one is not started at all") {
  WindowBench bench;
  bench.add_running("m", kWindow);
  must(bench.patch_strategy("m", R"({"window_start":"2024-01-15T03:00:00Z"})"));
  bench.look_at(kStart + 3'599);
  CHECK(bench.side() == Side::Old);
  bench.look_at(kStart + 3'600);
  CHECK(bench.side() == Side::New);
  CHECK(said(bench.patch_strategy("m", R"({"type":"blue_green"})")).find("409 ") == 0);
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK_FALSE(bench.executed());
  bench.now = kEnd;
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .find("409 Migration error: the test of migration 'm' failed") == 0);
  bench.call.force = true;
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .find("409 Migration error: the window of migration 'm' ended at "
                  "2024-01-15T04:00:00Z") == 0);
  bench.call.force = false;
  must(bench.patch_strategy("m", R"({"window_end":"2024-01-15T05:00:00Z"})"));
  must(bench.life->conductor.migrate("m", bench.call));
  bench.look_at(kEnd + 1);
  CHECK(bench.side() == Side::New);
}

TEST_CASE("time_window: no PATCH makes another strategy one while it routes, or one another") {
  WindowBench bench;
  bench.add_running("m", R"({"type":"blue_green"})");
  const std::string refused =
      "409 Migration error: Cannot change strategy.type of migration in status: Running";
  CHECK(said(bench.patch_strategy("m", kWindow)) == refused);
  must(bench.life->conductor.rollback("m", bench.call));
  must(bench.patch_strategy("m", kWindow));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(said(bench.patch_strategy("m", R"({"type":"blue_green"})")) == refused);
}

TEST_CASE("time_window: a rollback that the loops do not confirm is gone on with by itself") {
  WindowBench bench;
  bench.add_running("m", kWindow);
  bench.plane.publishes_to_fail = 1;
  bench.look_at(kEnd);
  CHECK(bench.status("m") == "rolling_back");
  bench.look_at(kEnd + 10);
  CHECK(bench.status("m") == "rolled_back");
  CHECK(bench.said_why("was missed"));
}

TEST_CASE("timekeeper: its thread looks by itself, and ends when told to") {
  WindowBench bench;
  bench.now = kStart + 1;
  bench.add_running("m", kWindow);
  bench.life->timekeeper.start();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (bench.status("m") != "completed" && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  bench.life->timekeeper.stop();
  CHECK(bench.status("m") == "completed");
}

}  // namespace crossfade
