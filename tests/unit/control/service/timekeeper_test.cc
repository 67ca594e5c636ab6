// Windows of time by a clock that the tests set: when what happens, what is told, what a restart
// leaves.
#include "control/service/timekeeper.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <thread>

#include "../bench.h"

namespace crossfade {

namespace {

constexpr std::int64_t kStart = 1'705'284'000;  // 2024-01-15T02:00:00Z
constexpr std::int64_t kEnd = kStart + 7'200;
constexpr const char* kWindow =
    R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z"})";

struct WindowBench : Bench {
  WindowBench() { add_sides(); }

  // The clock that nobody sets goes on by as much; not back.
  void look_at(std::int64_t time) {
    now_ms += std::max<std::int64_t>(time - now, 0) * 1'000;
    now = time;
    life->timekeeper.look();
    life->timekeeper.finish();
  }
  // Migration "m", whose window opens with dual writes.
  void start_dual_window(const std::string& policy) {
    must(life->migrations.create(
        json(R"({"id":"m","strategy":{"type":"time_window","window_start":"2024-01-15T02:00:00Z",)"
             R"("window_end":"2024-01-15T04:00:00Z","write_mode":{"mode":"dual_write","policy":")" +
             policy + R"("}}})"),
        call));
    bind("m");
    must(life->conductor.migrate("m", call));
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

TEST_CASE("time_window: one whose servers hang holds up no other") {
  WindowBench bench;
  bench.told.up[3] = bench.told.up[4] = ToldServers::healthy();
  bench.add_endpoint("third", 3);
  bench.add_endpoint("fourth", 4);
  bench.add_interlay("other", "third", 7002);
  bench.now = kStart - 100;
  bench.add_running("m", kWindow);
  bench.add_migration("well", kWindow);
  must(bench.life->migrations.add_interlay("well", "other", json(R"({"endpoint":"fourth"})"),
                                           bench.call));
  must(bench.life->conductor.migrate("well", bench.call));
  std::promise<void> release;
  const std::shared_future<void> released = release.get_future().share();
  bench.told.when_asked = [&](std::uint16_t port) {
    if (port == 2) released.wait();
  };
  bench.now = kStart;
  bench.life->timekeeper.look();
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (bench.status("well") != "completed" && std::chrono::steady_clock::now() < limit) {
    std::this_thread::yield();
  }
  CHECK(bench.status("well") == "completed");
  CHECK(bench.status("m") == "running");
  bench.life->timekeeper.look();  // it is being opened: not once more
  release.set_value();
  bench.life->timekeeper.finish();
  CHECK(bench.status("m") == "completed");
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
  bench.life->timekeeper.finish();
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
  bench.life->timekeeper.finish();
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
  bench.told.up[2].role = "slave";
  bench.add_ready("m", kWindow);
  CHECK(said(bench.life->conductor.migrate("m", bench.call)).find("409 ") == 0);
  bench.call.force = true;
  must(bench.life->conductor.migrate("m", bench.call));
  bench.restart();
  SUBCASE("as it is") { bench.look_at(kStart); }
  SUBCASE("but not while new is gone") {
    bench.down(true);
    bench.look_at(kStart);
    CHECK(bench.side() == Side::Old);
    CHECK(bench.status("m") == "running");
    bench.down(false);
    bench.look_at(kStart + 60);
  }
  CHECK(bench.side() == Side::New);
}

TEST_CASE("time_window: behind a rollback it does not make new right by a PATCH before it opens") {
  WindowBench bench;
  bench.start_dual_window("old_authoritative");
  bench.look_at(kStart);
  REQUIRE(bench.plane.route("cache").authority() == Side::Old);
  must(bench.life->conductor.rollback("m", bench.call));
  bench.now = kStart - 100;
  must(bench.life->conductor.migrate("m", bench.call));
  must(bench.patch_strategy(
      "m", R"({"write_mode":{"mode":"dual_write","policy":"new_authoritative"}})"));
  bench.look_at(kStart + 60);
  CHECK_FALSE(bench.executed());
  CHECK(bench.said_why("new would be right, and lacks what old alone was given"));
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
  // A slip in a date takes nothing back.
  CHECK(said(bench.patch_strategy("m", R"({"window_start":"2024-01-15T02:00:00Z",)"
                                       R"("window_end":"2024-01-15T02:59:59Z"})"))
            .find("409 Migration error: strategy.window_end: 2024-01-15T02:59:59Z has passed") ==
        0);
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

TEST_CASE("time_window: with dual writes it is executed, and taken back unless it is completed") {
  WindowBench bench;
  bench.start_dual_window("new_authoritative");
  CHECK_FALSE(bench.plane.route("cache").authority().has_value());
  bench.look_at(kStart);
  CHECK(bench.status("m") == "running");
  CHECK(bench.executed());
  CHECK(bench.plane.route("cache").authority() == Side::New);
  CHECK(bench.of("reason") == "executed: its window has opened");
  CHECK(said(bench.patch_strategy("m", R"({"window_start":"2024-01-15T02:30:00Z"})"))
            .find("409 Migration error: strategy.window_start: the migration has been executed") ==
        0);
  SUBCASE("the operator ends it") {
    must(bench.patch_strategy("m", R"({"write_mode":null})"));
    must(bench.life->conductor.complete("m", bench.call));
    bench.look_at(kEnd + 1);
    CHECK(bench.status("m") == "completed");
  }
  SUBCASE("everything is on new when the window ends") {
    must(bench.patch_strategy("m", R"({"write_mode":null})"));
    bench.look_at(kEnd);
    CHECK(bench.status("m") == "completed");
    CHECK(bench.side() == Side::New);
  }
  SUBCASE("nobody does") {
    bench.look_at(kEnd);
    CHECK(bench.status("m") == "rolled_back");
    CHECK(bench.said_why("has ended and the migration was not completed"));
  }
}

namespace {

constexpr const char* kRamp =
    R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write"},"ramp":{"steps":[0.05,0.25,1.0],"hold_s":60}})";

struct RampBench : WindowBench {
  RampBench() {
    now = 1'000;
    add_running("m", kRamp);
  }
  std::uint32_t share_at(std::int64_t time) {
    look_at(time);
    return std::get<Canary>(*plane.route("cache").strategy).read_share;
  }
};

}  // namespace

TEST_CASE("ramp: each step is held for its time, and the last one for good") {
  RampBench bench;
  CHECK(bench.share_at(1'000) == 50'000);
  CHECK(bench.share_at(1'059) == 50'000);
  CHECK(bench.share_at(1'060) == 250'000);
  CHECK(bench.share_at(1'061) == 250'000);
  CHECK(bench.share_at(1'119) == 250'000);
  CHECK(bench.share_at(1'120) == 1'000'000);
  const auto lines = bench.journal("m").size();
  CHECK(bench.share_at(9'999) == 1'000'000);
  CHECK(bench.journal("m").size() == lines);
  CHECK(bench.status("m") == "running");
}

TEST_CASE("ramp: behind a rollback it begins at its first step again") {
  RampBench bench;
  CHECK(bench.share_at(1'060) == 250'000);
  must(bench.life->conductor.rollback("m", bench.call));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(bench.share_at(1'070) == 50'000);
  must(bench.life->conductor.rollback("m", bench.call));
  must(bench.patch_strategy("m", R"({"read_percentage":0.01})"));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(bench.share_at(1'080) == 10'000);
  must(bench.life->conductor.rollback("m", bench.call));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(bench.share_at(1'090) == 10'000);
}

TEST_CASE("ramp: a pause and a PATCH hold it anew") {
  RampBench bench;
  CHECK(bench.share_at(1'000) == 50'000);
  must(bench.life->conductor.pause("m", bench.call));
  CHECK(bench.share_at(1'100) == 50'000);
  must(bench.life->conductor.resume("m", bench.call));
  CHECK(bench.share_at(1'159) == 50'000);
  CHECK(bench.share_at(1'160) == 250'000);
  must(bench.patch_strategy("m", R"({"read_percentage":0.1})"));
  CHECK(bench.share_at(1'219) == 100'000);
  CHECK(bench.share_at(1'220) == 250'000);
}

TEST_CASE("ramp: a restart does not: what is held began when it was changed") {
  RampBench bench;
  SUBCASE("its first share") {}
  SUBCASE("a step") { CHECK(bench.share_at(1'060) == 250'000); }
  const std::int64_t since = bench.now;
  const std::uint32_t held = since == 1'000 ? 50'000 : 250'000;
  const std::uint32_t next = since == 1'000 ? 250'000 : 1'000'000;
  for (const std::int64_t later : {1, 20, 59}) {
    bench.now = since + later;
    bench.restart();
    CHECK(bench.share_at(since + later) == held);
  }
  SUBCASE("it goes on in time") {}
  SUBCASE("the process was down at its time") { bench.now = since + 500; }
  bench.restart();
  CHECK(bench.share_at(std::max(bench.now, since + 60)) == next);
}

TEST_CASE("ramp: a note in the journal changes nothing, and holds nothing anew") {
  RampBench bench;
  bench.now = 1'050;
  bench.life->conductor.note(*find(bench.life->keeper.state()->migrations, "m"), "seen");
  bench.restart();
  CHECK(bench.share_at(1'059) == 50'000);
  CHECK(bench.share_at(1'060) == 250'000);
}

TEST_CASE(
    "ramp: a clock that is set, forward or back, neither shortens nor prolongs what it holds") {
  RampBench bench;
  const auto set_by = [&](std::int64_t seconds) {
    bench.now += seconds;
    bench.life->timekeeper.look();
    bench.life->timekeeper.finish();
  };
  CHECK(bench.share_at(1'000) == 50'000);
  for (const std::int64_t seconds : {500, -900, 86'400, -80'000}) set_by(seconds);
  CHECK(bench.share_at(bench.now + 59) == 50'000);
  for (const std::int64_t seconds : {3'600, -7'000, 7'000}) set_by(seconds);
  CHECK(bench.share_at(bench.now) == 50'000);
  CHECK(bench.share_at(bench.now + 1) == 250'000);
  set_by(3'600);
  CHECK(bench.share_at(bench.now + 59) == 250'000);
  CHECK(bench.share_at(bench.now + 1) == 1'000'000);
}

TEST_CASE("ramp: a clock that was set over a restart is worth one step, or none") {
  RampBench bench;
  SUBCASE("forward") {
    CHECK(bench.share_at(1'010) == 50'000);
    bench.now += 31'536'000;
    bench.restart();
    CHECK(bench.share_at(bench.now) == 250'000);
    CHECK(bench.share_at(bench.now + 59) == 250'000);
    CHECK(bench.share_at(bench.now + 1) == 1'000'000);
  }
  SUBCASE("back") {
    CHECK(bench.share_at(1'059) == 50'000);
    bench.now = 7;
    bench.restart();
    CHECK(bench.share_at(bench.now) == 50'000);
    CHECK(bench.share_at(bench.now + 59) == 50'000);
    CHECK(bench.share_at(bench.now + 1) == 250'000);
  }
}

TEST_CASE("ramp: while the gate is shut it stands") {
  RampBench bench;
  bool open = false;
  Timekeeper keeper(
      *bench.life->store, bench.life->keeper, bench.life->conductor, [&] { return bench.now; },
      [&] { return bench.now_ms; }, [&](const Migration&) { return open; });
  const auto share_at = [&](std::int64_t time) {
    bench.now_ms += (time - bench.now) * 1'000;
    bench.now = time;
    keeper.look();
    return std::get<Canary>(*bench.plane.route("cache").strategy).read_share;
  };
  CHECK(share_at(1'000) == 50'000);
  CHECK(share_at(2'000) == 50'000);
  open = true;
  CHECK(share_at(2'001) == 250'000);
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

TEST_CASE(
    "timekeeper: what another sidecar does for all is not done here, until its lease expires") {
  WindowBench bench;
  bench.add_running("m", kWindow);
  const auto another = bench.life->store->lease(Timekeeper::kDuty, Timekeeper::kDutyFor);
  REQUIRE(another.ok());
  bench.look_at(kStart + 1);
  CHECK(bench.side() == Side::Old);
  CHECK_FALSE(bench.executed());
  bench.now_ms += 30'000;
  bench.look_at(kStart + 31);
  CHECK(bench.side() == Side::New);
  CHECK(bench.executed());
  CHECK_FALSE(bench.life->store->lease(Timekeeper::kDuty, Timekeeper::kDutyFor).ok());
}

}  // namespace crossfade
