// What is done by itself as new fails, by a clock and counters that the tests set.
#include "control/service/guard.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>

#include "../bench.h"
#include "control/ledger/reasons.h"

namespace crossfade {

namespace {

constexpr const char* kRails = R"({"window_s":10,"min_requests":100,"error_rate":0.05})";

std::string with_rails(const std::string& more = "") {
  return R"("guardrails":)" + std::string(kRails) + more;
}

struct GuardBench : Bench {
  GuardBench() { add_sides(); }

  InterlayTraffic& traffic(const std::string& id = "cache") {
    for (InterlayTraffic& one : plane.telemetry.interlays) {
      if (one.id == id) return one;
    }
    FAIL("no traffic of " << id);
    return plane.telemetry.interlays.front();
  }
  void pass(std::int64_t seconds) {
    for (std::int64_t i = 0; i < seconds * 2; ++i) {
      now_ms += 500;
      life->guard.look();
    }
  }
  void go_down(const std::string& id = "cache") {
    traffic(id).down[kNew] = true;
    told.up.erase(2);
  }
  void come_back() {
    traffic().down[kNew] = false;
    told.up[2] = ToldServers::healthy();
  }
  void answer_copies(std::uint64_t answered, std::uint64_t errors,
                     const std::string& id = "cache") {
    traffic(id).second[0].answered += answered;
    traffic(id).second[0].errors += errors;
  }
  // By new.
  void answer_requests(std::uint64_t answered, std::uint64_t errors) {
    traffic().requests[kNew][0] += answered;
    traffic().errors[kNew] += errors;
  }
  // Running, with these members beside its strategy.
  void run(const std::string& strategy, const std::string& members) {
    must(life->migrations.create(
        json(R"({"id":"m","strategy":)" + strategy + (members.empty() ? "" : ",") + members + "}"),
        call));
    bind("m");
    must(life->conductor.migrate("m", call));
    pass(1);
  }
  // Ready, with two interlays, of which one may go back alone.
  void add_partial(const std::string& strategy) {
    add_interlay("other", "old", 7002);
    must(life->migrations.create(json(R"({"id":"m","strategy":)" + strategy + "," +
                                      with_rails(R"(,"failure_handling":"allow_partial"})")),
                                 call));
    bind("m");
    must(life->migrations.add_interlay("m", "other", json(R"({"endpoint":"new"})"), call));
  }
  bool both(const std::string& id = "cache") { return plane.route(id).strategy.has_value(); }
  std::vector<std::string> reasons() {
    std::vector<std::string> lines;
    const Answer answer = life->migrations.events("m", call);
    for (const Json& event : *must(answer).data.elements()) {
      if (text_of(event, "actor") == kGuardActor) lines.push_back(text_of(event, "reason"));
    }
    return lines;
  }
  bool said(const std::string& words) {
    const auto lines = reasons();
    return std::ranges::any_of(
        lines, [&](const std::string& line) { return line.find(words) != std::string::npos; });
  }
  std::uint64_t counted(GuardAction action, GuardCause cause) {
    return life->guard.figures()[static_cast<std::size_t>(action)][static_cast<std::size_t>(cause)];
  }
  bool may_go_on() { return life->guard.may_go_on(*find(life->keeper.state()->migrations, "m")); }
};

}  // namespace

TEST_CASE("guard: of a rolling update, an interlay whose shard is not named is not judged") {
  GuardBench bench;
  bench.add_endpoint("old2", 1);
  bench.add_interlay("other", "old2", 7002);
  for (const char* endpoint : {"old", "old2"}) {
    must(bench.life->endpoints.patch(
        endpoint, json(R"({"config":{"shard":")" + std::string(endpoint) + R"("}})"), bench.call));
  }
  must(bench.life->migrations.create(
      json(
          R"({"id":"m","strategy":{"type":"rolling_update","migrated_instances":["old2"],"total_instances":2},)" +
          with_rails() + "}"),
      bench.call));
  bench.bind("m");
  must(
      bench.life->migrations.add_interlay("m", "other", json(R"({"endpoint":"new"})"), bench.call));
  must(bench.life->conductor.migrate("m", bench.call));
  bench.pass(1);
  bench.go_down("cache");
  bench.pass(70);
  CHECK(bench.status("m") == "running");
  bench.go_down("other");
  bench.pass(70);
  CHECK(bench.status("m") == "rolled_back");
  CHECK(bench.said("interlay 'other': new is down"));
}

TEST_CASE("guard: a guardrail that is crossed takes everything back, durably, and says why") {
  GuardBench bench;
  bench.run(kShadow, with_rails());
  bench.answer_copies(200, 10);
  bench.pass(1);
  CHECK(bench.status("m") == "running");
  bench.answer_copies(0, 20);
  bench.pass(1);
  CHECK(bench.status("m") == "rolled_back");
  CHECK_FALSE(bench.both());
  CHECK(bench.said("interlay 'cache': error rate on new 15 % over "));
  CHECK(bench.said("rolled back: all traffic is on old"));
  CHECK(bench.journal("m").back() == "rolling_back -> rolled_back by guardrail");
  CHECK(bench.counted(GuardAction::Rollback, GuardCause::ErrorRate) == 1);
  bench.restart();
  CHECK(bench.status("m") == "rolled_back");
  CHECK_FALSE(bench.both());
}

TEST_CASE("guard: action pause holds it where it is, and what has crossed is not held against it") {
  GuardBench bench;
  bench.run(kShadow, R"("guardrails":{"window_s":10,"error_rate":0.05,"action":"pause"})");
  bench.answer_copies(200, 30);
  bench.pass(1);
  CHECK(bench.status("m") == "paused");
  CHECK(bench.both());
  CHECK(bench.said("15 %"));
  CHECK(bench.said("paused, routing stays as it is"));
  bench.answer_copies(200, 200);
  bench.pass(20);  // nobody looks while it is paused
  CHECK(bench.reasons().size() == 1);
  must(bench.life->conductor.resume("m", bench.call));
  bench.pass(5);
  CHECK(bench.status("m") == "running");
  bench.answer_copies(200, 200);
  bench.pass(1);
  CHECK(bench.status("m") == "paused");
  CHECK(bench.counted(GuardAction::Pause, GuardCause::ErrorRate) == 2);
}

TEST_CASE("guard: a new side that is down for a minute is a failure, with guardrails or without") {
  GuardBench bench;
  SUBCASE("without") { bench.run(kShadow, ""); }
  SUBCASE("with") { bench.run(kShadow, with_rails()); }
  bench.go_down();
  bench.pass(60);
  CHECK(bench.status("m") == "running");
  bench.pass(1);
  CHECK(bench.status("m") == "rolled_back");
  CHECK(bench.said("new is down for 60 s, guardrail 60 s"));
  CHECK(bench.counted(GuardAction::Rollback, GuardCause::NewSideDown) == 1);
}

TEST_CASE("guard: one that is not down for long, or only seems so, or may be so, is none") {
  GuardBench bench;
  SUBCASE("it comes back") {
    bench.run(kShadow, "");
    for (int i = 0; i < 5; ++i) {
      bench.go_down();
      bench.pass(50);
      bench.come_back();
      bench.pass(1);
    }
  }
  SUBCASE("a loop that nobody asks has not heard that it is back") {
    bench.run(kShadow, "");
    bench.traffic().down[kNew] = true;
    bench.pass(200);
  }
  SUBCASE("it answers, and wants a password that clients have and we do not") {
    bench.run(kShadow, "");
    bench.told.refusing[2] = Error{Errc::BadConfig, "ask endpoint 'new'", "NOAUTH"};
    bench.traffic().down[kNew] = true;
    bench.pass(200);
  }
  SUBCASE("it does not count") {
    bench.run(kShadow, R"("guardrails":{"new_side_down_s":null})");
    bench.go_down();
    bench.pass(200);
  }
  CHECK(bench.status("m") == "running");
  CHECK(bench.reasons().empty());
}

TEST_CASE("guard: a new side that is asked nothing is not judged") {
  GuardBench bench;
  SUBCASE("before a window opens") {
    bench.run(
        R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z"})",
        with_rails());
  }
  SUBCASE("as blue_green stands on old") { bench.run(R"({"type":"blue_green"})", with_rails()); }
  SUBCASE("before a ramp's first step") {
    bench.run(R"({"type":"canary","read_percentage":0})", with_rails());
  }
  bench.go_down();
  bench.pass(200);
  CHECK(bench.status("m") == "running");
  CHECK(bench.reasons().empty());
  CHECK(bench.may_go_on());
  // A window is executed, and becomes nothing else.
  const Answer flipped = bench.patch_strategy("m", R"({"type":"blue_green","active_is_new":true})");
  if (std::holds_alternative<Reply>(flipped)) {
    bench.pass(61);
    CHECK(bench.status("m") == "rolled_back");
  }
}

TEST_CASE("guard: without guardrails no writes are left on new by itself") {
  GuardBench bench;
  const std::string rails = R"("guardrails":{})";
  SUBCASE("it says so, once") {
    bench.run(R"({"type":"blue_green","active_is_new":true})", "");
    bench.plane.count_new_only_writes("cache", 7);
    bench.life->new_only_writes.sample();
    bench.go_down();
    bench.pass(200);
    CHECK(bench.status("m") == "running");
    CHECK(bench.reasons().size() == 1);
    CHECK(bench.said("not rolled back, as 7 writes are on new only"));
  }
  SUBCASE("with guardrails it is rolled back, and tells how many") {
    bench.run(R"({"type":"blue_green","active_is_new":true})", rails);
    bench.plane.count_new_only_writes("cache", 7);
    bench.go_down();
    bench.pass(61);
    CHECK(bench.status("m") == "rolled_back");
    CHECK(bench.said("7 writes went to new only"));
  }
}

TEST_CASE("guard: retry_then_all looks again with growing pauses before it takes all back") {
  GuardBench bench;
  bench.run(kShadow,
            with_rails(R"(,"failure_handling":{"type":"retry_then_all","retry_count":2})"));
  SUBCASE("it does not help") {
    bench.go_down();
    bench.pass(61);
    CHECK(bench.status("m") == "running");
    CHECK(bench.said("retry 1 of 2 in 0.8 s"));
    bench.pass(1);
    CHECK(bench.said("retry 2 of 2 in 1.5 s"));
    bench.pass(2);
    CHECK(bench.status("m") == "rolled_back");
    CHECK(bench.said("still so after 2 retries"));
    CHECK(bench.counted(GuardAction::Retry, GuardCause::NewSideDown) == 2);
  }
  SUBCASE("it helps, and the next failure has all its retries") {
    for (int i = 0; i < 3; ++i) {
      bench.answer_copies(200, 30);
      bench.pass(1);
      CHECK(bench.said("retry 1 of 2"));
      CHECK_FALSE(bench.said("retry 2 of 2"));
      bench.answer_copies(200, 0);
      bench.pass(15);
      CHECK(bench.said("well again after retry 1 of 2"));
    }
    CHECK(bench.status("m") == "running");
  }
}

TEST_CASE("guard: pauses between retries double up to a minute, with chance in their second half") {
  CHECK(retry_pause_ms(1, 0) == 500);
  CHECK(retry_pause_ms(1, 1) == 1'000);
  CHECK(retry_pause_ms(3, 0) == 2'000);
  CHECK(retry_pause_ms(3, 1) == 4'000);
  CHECK(retry_pause_ms(1'000, 1) == 60'000);
}

TEST_CASE("guard: allow_partial takes back what failed, and the last one takes all along") {
  GuardBench bench;
  bench.add_partial(kShadow);
  must(bench.life->conductor.migrate("m", bench.call));
  bench.pass(1);
  bench.answer_copies(200, 30);
  bench.pass(1);
  CHECK(bench.status("m") == "running");
  CHECK_FALSE(bench.both("cache"));
  CHECK(bench.both("other"));
  CHECK(bench.said("interlay 'cache' goes back to old, the others go on"));
  CHECK(bench.counted(GuardAction::RollbackInterlay, GuardCause::ErrorRate) == 1);
  SUBCASE("so it stays") {
    bench.restart();
    CHECK_FALSE(bench.both("cache"));
    CHECK(bench.both("other"));
    CHECK(said(bench.patch_strategy("m", kCanary)).find("was taken back to old") !=
          std::string::npos);
  }
  SUBCASE("the other one fails, too; started again, all take part") {
    bench.answer_copies(200, 30, "other");
    bench.pass(1);
    CHECK(bench.status("m") == "rolled_back");
    CHECK_FALSE(bench.both("other"));
    must(bench.life->conductor.migrate("m", bench.call));
    CHECK(bench.both("cache"));
    CHECK(bench.both("other"));
  }
}

TEST_CASE("guard: what writes to both sides is taken back as a whole") {
  GuardBench bench;
  bench.add_partial(kCanary);
  Call forced = bench.call;
  forced.force = true;
  must(bench.life->conductor.migrate("m", forced));
  bench.pass(1);
  bench.answer_copies(200, 30);
  bench.pass(1);
  CHECK(bench.status("m") == "rolled_back");
  CHECK_FALSE(bench.both("cache"));
  CHECK_FALSE(bench.both("other"));
}

TEST_CASE("guard: nothing is taken back to an old that the ledger says has lost something") {
  GuardBench bench;
  bench.run(kCanary, with_rails());
  bench.life->ledger.note_all("m", side_lost(Side::Old) + "old' was started again", nullptr);
  bench.answer_copies(200, 30);
  bench.pass(6);
  CHECK(bench.status("m") == "running");
  CHECK(bench.said("not rolled back, as old endpoint 'old' was started again: look at it"));
  CHECK(bench.reasons().size() == 1);
}

TEST_CASE("guard: interlays that write to one new server are taken back together") {
  GuardBench bench;
  bench.add_partial(R"({"type":"blue_green","active_is_new":true})");
  must(bench.life->conductor.migrate("m", bench.call));
  bench.pass(1);
  bench.answer_requests(200, 30);
  bench.pass(1);
  CHECK(bench.status("m") == "rolled_back");
}

TEST_CASE("guard: nothing is taken back to an old server that does not answer, until it does") {
  GuardBench bench;
  bench.run(R"({"type":"blue_green","active_is_new":true})", with_rails());
  bench.told.up.erase(1);
  bench.answer_requests(200, 30);
  bench.pass(8);
  CHECK(bench.status("m") == "running");
  CHECK(bench.said("not rolled back, as old ('old') does not answer"));
  CHECK(bench.reasons().size() == 1);
  bench.told.up[1] = ToldServers::healthy();
  bench.pass(5);
  bench.answer_requests(200, 30);
  bench.pass(6);
  CHECK(bench.status("m") == "rolled_back");
}

TEST_CASE("guard: an old server that was started again is not gone back to unasked") {
  GuardBench bench;
  bench.told.up[1].sight.run_id = "one";
  bench.run(R"({"type":"blue_green","active_is_new":true})", with_rails());
  RedisProbe old = bench.told.up[1];
  bench.told.up.erase(1);
  bench.answer_requests(200, 30);
  bench.pass(8);
  CHECK(bench.said("not rolled back, as old ('old') does not answer"));
  old.sight.run_id = "two";
  bench.told.up[1] = old;
  for (int i = 0; i < 4; ++i) {
    bench.pass(5);
    bench.answer_requests(200, 30);
  }
  CHECK(bench.status("m") == "running");
  CHECK(bench.said("not rolled back, as old ('old') was started again since"));
  CHECK(bench.reasons().size() == 2);
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK(bench.status("m") == "rolled_back");
}

TEST_CASE("guard: who may be down is asked once in a look, whoever is before it") {
  GuardBench bench;
  bench.add_partial(kShadow);
  must(bench.life->conductor.migrate("m", bench.call));
  bench.pass(1);
  std::atomic<int> asked = 0;
  bench.told.when_asked = [&](std::uint16_t) { ++asked; };
  for (const char* id : {"cache", "other"}) bench.go_down(id);
  bench.now_ms += 500;
  bench.life->guard.look();
  CHECK(asked == 1);
}

TEST_CASE("guard: a rollback that a loop does not take over in time is ended later") {
  GuardBench bench;
  bench.run(kShadow, with_rails());
  bench.plane.publishes_to_fail = 1;
  bench.answer_copies(200, 30);
  bench.pass(1);
  bench.pass(1);
  CHECK(bench.status("m") == "rolled_back");
  CHECK(bench.journal("m").back() == "rolling_back -> rolled_back by guardrail");
}

TEST_CASE("guard: a ramp goes on when enough was seen and nothing is wrong") {
  GuardBench bench;
  SUBCASE("with guardrails") {
    bench.run(R"({"type":"canary","read_percentage":0.1})", with_rails());
    CHECK_FALSE(bench.may_go_on());
    bench.traffic().requests[kNew][0] += 200;
    bench.pass(1);
    CHECK(bench.may_go_on());
    bench.go_down();
    bench.pass(1);
    CHECK_FALSE(bench.may_go_on());
  }
  SUBCASE("at nobody there is nothing to be seen") {
    bench.run(R"({"type":"canary","read_percentage":0})", with_rails());
    CHECK(bench.may_go_on());
  }
  SUBCASE("without guardrails") {
    bench.run(R"({"type":"canary","read_percentage":0.1})", "");
    CHECK(bench.may_go_on());
    bench.go_down();
    bench.pass(1);
    CHECK_FALSE(bench.may_go_on());
  }
}

TEST_CASE("guard: while another sidecar acts on a migration it is left alone") {
  GuardBench bench;
  bench.run(kShadow, with_rails());
  auto another = bench.life->store->lease(
      "guard/" + find(bench.life->keeper.state()->migrations, "m")->identity.uuid, Guard::kActing);
  REQUIRE(another.ok());
  bench.answer_copies(200, 30);
  bench.pass(1);
  CHECK(bench.status("m") == "running");
  CHECK_FALSE(bench.may_go_on());
  CHECK(bench.reasons().empty());
  another->reset();
  bench.pass(1);
  CHECK(bench.status("m") == "rolled_back");
}

TEST_CASE("guard: what it sees is shown beside the limits, of running migrations with guardrails") {
  GuardBench bench;
  const auto shown = [&] {
    const Answer answer = bench.life->migrations.status("m");
    return to_text(*must(answer).data.find("interlays")->elements()->front().find("guardrails"));
  };
  SUBCASE("with guardrails") {
    bench.run(kShadow, with_rails());
    InterlayTraffic& traffic = bench.traffic();
    traffic.requests[0][0] += 400;
    traffic.errors[0] += 4;
    bench.answer_copies(200, 3);
    traffic.second[0].uncompared += 100;
    traffic.mismatches.classes[0][static_cast<std::size_t>(MismatchClass::Real)] += 5;
    bench.pass(1);
    CHECK(shown() ==
          R"({"over_s":1.5,"min_requests":100,"requests":{"old":400,"new":200},)"
          R"("error_rate":{"old":0.01,"new":0.015,"limit":0.05},"p99_ms":{"old":null,"new":null},)"
          R"("p99_ratio":{"new":null,"limit":null},"compared":100,)"
          R"("mismatch_rate":{"new":0.05,"limit":null},)"
          R"("new_side_down_s":{"new":null,"limit":60},"retries":0})");
    bench.go_down();
    bench.pass(8);
    CHECK(shown().find(R"("new_side_down_s":{"new":7,"limit":60})") != std::string::npos);
    must(bench.life->conductor.pause("m", bench.call));
    CHECK(shown() == "null");
  }
  SUBCASE("without them") {
    bench.run(kShadow, "");
    CHECK(shown() == "null");
  }
  SUBCASE("where new is asked nothing") {
    bench.run(R"({"type":"blue_green"})", with_rails());
    CHECK(shown() == "null");
  }
}

TEST_CASE("guard: of an interlay that was taken back alone nothing is shown") {
  GuardBench bench;
  bench.add_partial(kShadow);
  must(bench.life->conductor.migrate("m", bench.call));
  bench.pass(1);
  bench.answer_copies(200, 30);
  bench.pass(2);
  const Answer answer = bench.life->migrations.status("m");
  for (const Json& interlay : *must(answer).data.find("interlays")->elements()) {
    CHECK(interlay.find("guardrails")->is_null() == (text_of(interlay, "id") == "cache"));
  }
}

}  // namespace crossfade
