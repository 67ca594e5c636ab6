// Guardrails over windows of counters: what crosses, what says nothing, and what begins anew.
#include "control/guard_window.h"

#include <doctest/doctest.h>

#include <string>

namespace crossfade {

namespace {

// Counters of one interlay, and a window over them that is looked at each half second.
struct Scene {
  InterlayTraffic traffic;
  GuardWindow window;
  Guardrails rails{.window_s = 10, .min_requests = 100};
  std::optional<Side> authority = Side::Old;
  std::int64_t now_ms = 0;

  Scene() { look(); }
  void look() { window.note(now_ms, guard_counts(traffic, authority), rails.window_s); }
  std::string pass(std::int64_t seconds = 1) {
    for (std::int64_t i = 0; i < seconds * 2; ++i) {
      now_ms += 500;
      look();
    }
    return crossed();
  }
  std::string crossed() const {
    const auto crossing = window.crossing(rails);
    return crossing ? std::string(name_of(crossing->cause)) + ": " + crossing->why : "";
  }
  void ask(Side side, std::uint64_t requests, std::uint64_t errors = 0) {
    traffic.requests[static_cast<std::size_t>(side)][0] += requests;
    traffic.errors[static_cast<std::size_t>(side)] += errors;
  }
  void take(Side side, std::uint64_t times, std::uint64_t ns) {
    Histogram& leg = traffic.leg[static_cast<std::size_t>(side)];
    std::size_t bucket = 0;
    while (Histogram::bound_ns(bucket) <= ns) ++bucket;
    leg.counts[bucket] += times;
    leg.total += times;
  }
  SecondCounts& copies() { return traffic.second[0]; }
  SecondCounts& writes() { return traffic.second[1]; }
  std::uint64_t& confirmed() {
    return traffic.mismatches.classes[0][static_cast<std::size_t>(MismatchClass::Real)];
  }
};

}  // namespace

TEST_CASE("guard window: an error rate is crossed above its limit, and says of what it is made") {
  Scene scene;
  scene.rails.error_rate = 0.05;
  scene.ask(Side::New, 1'000, 50);
  scene.ask(Side::Old, 9'000, 9);
  CHECK(scene.pass() == "");
  scene.ask(Side::New, 0, 73);
  CHECK(scene.pass() ==
        "error_rate: error rate on new 12.3 % over 2 s (123 of 1000 requests; on old 0.1 %), "
        "guardrail 5 %");
}

TEST_CASE("guard window: fewer than min_requests say nothing") {
  Scene scene;
  scene.rails.error_rate = 0;
  scene.ask(Side::New, 99, 99);
  CHECK(scene.pass() == "");
  CHECK_FALSE(scene.window.enough(scene.rails));
  scene.ask(Side::New, 1);
  CHECK(scene.pass() != "");
  CHECK(scene.window.enough(scene.rails));
}

TEST_CASE("guard window: what is longer ago than the window is forgotten") {
  Scene scene;
  scene.rails.error_rate = 0.05;
  scene.ask(Side::New, 1'000, 50);
  CHECK_FALSE(scene.window.full());
  CHECK(scene.pass(10) == "");
  CHECK(scene.window.full());
  scene.pass(1);
  // With those of before it would be 110 of 2000, too; without, nobody asks about them any more.
  scene.ask(Side::New, 1'000, 60);
  CHECK(scene.pass() ==
        "error_rate: error rate on new 6 % over 10 s (60 of 1000 requests; on old 0 %), guardrail "
        "5 %");
  CHECK(scene.pass(10) == "");
}

TEST_CASE("guard window: each way to fail a request counts once") {
  Scene scene;
  scene.rails.error_rate = 0.3;
  scene.rails.min_requests = 10;
  SUBCASE("a read that was not sent, and fell back") {
    scene.traffic.fallbacks += 10;
    scene.traffic.fallbacks_unsent += 10;
    CHECK(scene.pass().find("100 % over 1 s (10 of 10") != std::string::npos);
  }
  SUBCASE("one that was sent and not answered") {
    scene.ask(Side::New, 20);
    scene.traffic.fallbacks += 10;
    scene.traffic.fallbacks_unanswered += 10;
    CHECK(scene.pass().find("50 % over 1 s (10 of 20") != std::string::npos);
  }
  SUBCASE("one that was refused by the server, and fell back") {
    scene.ask(Side::New, 20, 10);
    scene.traffic.fallbacks += 10;
    CHECK(scene.pass().find("50 % over 1 s (10 of 20") != std::string::npos);
  }
  SUBCASE("a request that no side could be reached for") {
    scene.ask(Side::New, 10, 10);
    scene.traffic.unreached[kNew] += 10;
    CHECK(scene.pass().find("50 % over 1 s (10 of 20") != std::string::npos);
  }
  SUBCASE("copies and second writes: answered with errors, late, lost; limits are nobody's fault") {
    for (SecondCounts* second : {&scene.copies(), &scene.writes()}) {
      second->eligible = 100;
      second->answered = 10;
      second->errors = 1;
      second->dropped[static_cast<std::size_t>(Drop::Timeout)] = 2;
      second->dropped[static_cast<std::size_t>(Drop::SideDown)] = 3;
      second->dropped[static_cast<std::size_t>(Drop::ConnectionLost)] = 4;
      second->dropped[static_cast<std::size_t>(Drop::StateRefused)] = 1;
      second->dropped[static_cast<std::size_t>(Drop::Overflow)] = 70;
      second->dropped[static_cast<std::size_t>(Drop::Blocking)] = 5;
      second->dropped[static_cast<std::size_t>(Drop::Oversize)] = 4;
      second->dropped[static_cast<std::size_t>(Drop::Closed)] = 1;
    }
    CHECK(scene.pass().find("55 % over 1 s (22 of 40") != std::string::npos);
  }
  SUBCASE("second writes to old are old's") {
    scene.authority = Side::New;
    scene.writes().answered = 100;
    scene.writes().errors = 100;
    scene.ask(Side::New, 100);
    CHECK(scene.pass() == "");
  }
}

TEST_CASE("guard window: a ratio of p99 needs enough requests on both sides") {
  Scene scene;
  scene.rails.p99_ratio = 3;
  scene.take(Side::Old, 980, 1'000'000);
  scene.take(Side::Old, 20, 10'000'000);
  scene.take(Side::New, 99, 100'000'000);
  CHECK(scene.pass() == "");
  scene.take(Side::New, 901, 100'000'000);
  const std::string said = scene.pass();
  CHECK(said.starts_with("p99_ratio: p99 on new is "));
  CHECK(said.find(" of 1000 requests against ") != std::string::npos);
  CHECK(said.ends_with("guardrail 3"));
  scene.rails.p99_ratio = 15;
  CHECK(scene.crossed() == "");
}

TEST_CASE("guard window: only confirmed mismatches count, of what was compared and judged") {
  Scene scene;
  scene.rails.mismatch_rate = 0.01;
  scene.copies().answered = 1'100;
  scene.copies().uncompared = 100;
  scene.copies().mismatched = 500;
  scene.traffic.mismatches.classes[0][static_cast<std::size_t>(MismatchClass::Race)] = 490;
  scene.confirmed() = 10;
  CHECK(scene.pass() == "");
  scene.confirmed() = 31;
  CHECK(scene.pass() ==
        "mismatch_rate: confirmed mismatches 3.1 % over 2 s (31 of 1000 compared replies), "
        "guardrail 1 %");
  // What found no room to be judged says nothing.
  scene.traffic.mismatches.dropped = 500;
  CHECK(scene.pass().find("6.2 % over 3 s (31 of 500") != std::string::npos);
}

TEST_CASE("guard window: counters that begin anew begin a window anew") {
  Scene scene;
  scene.rails.error_rate = 0.05;
  scene.ask(Side::New, 1'000, 500);
  CHECK(scene.pass() != "");
  scene.traffic = {};
  CHECK(scene.pass() == "");
  scene.ask(Side::New, 100, 1);
  CHECK(scene.pass() == "");
  CHECK_FALSE(scene.window.full());
  CHECK(scene.window.enough(scene.rails));
  scene.ask(Side::New, 100, 90);
  CHECK(scene.pass() != "");
  scene.window.forget();
  CHECK(scene.pass() == "");
}

TEST_CASE("guard window: a guardrail that is not set is not looked at") {
  Scene scene;
  scene.ask(Side::New, 1'000, 1'000);
  scene.take(Side::Old, 1'000, 1'000);
  scene.take(Side::New, 1'000, 1'000'000'000);
  scene.copies().answered = 1'000;
  scene.confirmed() = 1'000;
  CHECK(scene.pass() == "");
}

TEST_CASE(
    "guard window: its figures are those of the window, and of nothing where it saw nothing") {
  Scene scene;
  WindowFigures seen = GuardWindow().figures();
  CHECK(seen.seconds == 0);
  CHECK(seen.error_rate(kNew) == 0);
  CHECK(seen.mismatch_rate() == 0);
  CHECK_FALSE(seen.p99_ratio().has_value());
  scene.ask(Side::New, 1'000, 900);
  scene.pass(20);  // gone from the window
  scene.ask(Side::New, 200, 50);
  scene.take(Side::Old, 100, 1'000'000);
  scene.pass();
  CHECK_FALSE(scene.window.figures().p99_ratio().has_value());
  scene.take(Side::New, 100, 10'000'000);
  scene.pass();
  seen = scene.window.figures();
  CHECK(seen.seconds == doctest::Approx(10).epsilon(0.1));
  CHECK(seen.asked[kNew] == 200);
  CHECK(seen.error_rate(kNew) == 0.25);
  CHECK(seen.timed[kNew] == 100);
  CHECK(*seen.p99_ratio() == doctest::Approx(10).epsilon(0.25));
}

}  // namespace crossfade
