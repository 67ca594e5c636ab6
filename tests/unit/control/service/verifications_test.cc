// Full verification as control sees it: who may have it, what is noted, and when the mark goes.
#include "control/service/verifications.h"

#include <future>
#include <thread>

#include "../bench.h"

namespace crossfade {

namespace {

constexpr std::chrono::seconds kLong{60};  // the machine may be busy
constexpr const char* kOneSide = R"({"type":"canary","read_percentage":0.05,"write_mode":null})";
constexpr const char* kBestEffort =
    R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write","policy":"best_effort"}})";

VerifyCounts all_of(std::uint64_t looked_at, std::uint64_t differing) {
  VerifyCounts counts;
  counts.total = counts.looked_at = looked_at;
  counts.differing = differing;
  counts.complete = true;
  return counts;
}

// A migration that writes to both sides and needs full verification.
struct Marked : Bench {
  // `another`: interlay that it has beside "cache".
  explicit Marked(const std::string& another = "") {
    add_sides();
    add_ready("m", kCanary);
    if (!another.empty()) {
      add_interlay(another, "old", 7002);
      must(life->migrations.add_interlay("m", another, json(R"({"endpoint":"new"})"), call));
    }
    must(life->conductor.migrate("m", call));
    doubt("somebody knows why");
  }

  void doubt(const std::string& why) {
    std::promise<bool> promise;
    auto durable = promise.get_future();
    const InterlayRoute route = plane.route("cache");
    const bool on_disk =
        life->ledger.note_all(route.migration, why, [&](bool yes) { promise.set_value(yes); });
    if (!on_disk) REQUIRE(durable.get());
  }
  std::string uuid() { return find(life->keeper.state()->migrations, "m")->identity.uuid; }
  Json verification() { return life->verifications.shown(uuid()); }
  std::string state() { return text_of(verification(), "state"); }
  void start() { must(life->verifications.start("m", call)); }
  // Until it has ended; returns how.
  std::string ended() {
    const auto limit = std::chrono::steady_clock::now() + kLong;
    while (state() == "running" && std::chrono::steady_clock::now() < limit) {
      std::this_thread::yield();
    }
    return state();
  }
  Json divergence() {
    const Answer answer = life->divergence.get("m", call);
    return must(answer).data;
  }
  bool is_marked() { return text_of(divergence(), "needs_full_verification") == "true"; }
  std::string refusal(const std::string& migration = "m") {
    const Answer answer = life->verifications.start(migration, call);
    const auto* refused = std::get_if<Refusal>(&answer);
    return refused == nullptr ? "" : std::to_string(refused->status) + " " + refused->message;
  }
};

}  // namespace

TEST_CASE("verification: when everything was looked at, the mark goes; the ledger names the rest") {
  Marked bench;
  bench.told.when_verified = [](const auto& found, const auto& progress, const auto&) {
    for (int i = 0; i < 600; ++i) found({kDefaultDb, std::to_string(i)});
    progress(all_of(700, 600));
    return all_of(1'000, 600);
  };
  REQUIRE(bench.is_marked());
  CHECK(bench.verification().is_null());
  bench.start();
  CHECK(bench.ended() == "complete");
  CHECK_FALSE(bench.is_marked());
  const Json shown = bench.divergence();
  CHECK(text_of(shown, "entries_total") == "600");
  const Json& entry = shown.find("entries")->elements()->front();
  CHECK(text_of(entry, "reason") == "verify");
  CHECK(text_of(entry, "right") == "old");
  const Json& verification = *shown.find("verification");
  CHECK(text_of(verification, "keys_looked_at") == "1000");
  CHECK(text_of(verification, "keys_differing") == "600");
  CHECK(verification.find("why")->is_null());
  CHECK(text_of(verification, "ended_at").size() == 20);
  const Answer status = bench.life->migrations.status("m");
  CHECK(text_of(*must(status).data.find("verification"), "state") == "complete");
  const std::vector<std::string> lines = bench.journal("m");
  CHECK(lines[lines.size() - 2] == "running -> running by tester");
  CHECK(lines.back() == "running -> running by crossfade");
}

TEST_CASE("verification: what it has put in the ledger, and taken away, outlives the process") {
  Marked bench;
  bench.told.when_verified = [](const auto& found, const auto&, const auto&) {
    found({kDefaultDb, "k"});
    return all_of(2, 1);
  };
  bench.start();
  REQUIRE(bench.ended() == "complete");
  bench.life->ledger.stop(Ledger::End::Clean);
  bench.restart();
  CHECK(text_of(bench.divergence(), "entries_total") == "1");
  CHECK_FALSE(bench.is_marked());
  CHECK(bench.verification().is_null());
}

TEST_CASE("verification: one that ends early says why and takes nothing away") {
  Marked bench;
  bench.told.when_verified = [](const auto&, const auto&, const auto&) {
    VerifyCounts counts = all_of(3, 0);
    counts.complete = false;
    counts.why = "endpoint 'new' is gone";
    return counts;
  };
  bench.start();
  CHECK(bench.ended() == "incomplete");
  CHECK(text_of(bench.verification(), "why") == "endpoint 'new' is gone");
  CHECK(bench.is_marked());
}

TEST_CASE(
    "verification: a pair that is not complete keeps none of the others from being looked at") {
  Marked bench("sessions");
  int pairs = 0;
  bench.told.when_verified = [&pairs](const auto& found, const auto&, const auto&) {
    found({kDefaultDb, "k" + std::to_string(++pairs)});
    VerifyCounts counts = all_of(2, 1);
    counts.complete = pairs > 1;
    if (!counts.complete) counts.why = "endpoint 'new' is gone";
    return counts;
  };
  bench.start();
  CHECK(bench.ended() == "incomplete");
  CHECK(pairs == 2);
  CHECK(text_of(bench.verification(), "why") == "interlay 'cache': endpoint 'new' is gone");
  CHECK(text_of(bench.verification(), "keys_differing") == "2");
  CHECK(text_of(bench.divergence(), "entries_total") == "2");
  CHECK(bench.is_marked());
}

TEST_CASE("verification: expiries that are more than are remembered are told of") {
  Marked bench;
  bench.told.when_verified = [](const auto&, const auto&, const auto&) {
    VerifyCounts counts = all_of(9, 0);
    counts.expiries_unknown = 7;
    return counts;
  };
  bench.start();
  CHECK(bench.ended() == "complete");
  const Answer events = bench.life->migrations.events("m", bench.call);
  CHECK(text_of(must(events).data.elements()->back(), "reason").find("the expiries of 7 keys") !=
        std::string::npos);
}

TEST_CASE("verification: doubts that come up meanwhile keep the mark") {
  Marked bench;
  bench.told.when_verified = [&bench](const auto&, const auto&, const auto&) {
    bench.doubt("one more");
    return all_of(3, 0);
  };
  bench.start();
  CHECK(bench.ended() == "incomplete");
  CHECK(text_of(bench.verification(), "why").find("verify again") != std::string::npos);
  CHECK(bench.is_marked());
}

TEST_CASE("verification: a time in which only one side was written to keeps the mark") {
  Marked bench;
  bench.call.force = true;  // while any key may differ
  bench.told.when_verified = [&bench](const auto&, const auto&, const auto&) {
    must(bench.patch_strategy("m", kOneSide));
    must(bench.patch_strategy("m", kCanary));
    return all_of(3, 0);
  };
  bench.start();
  CHECK(bench.ended() == "incomplete");
  CHECK(bench.is_marked());
}

TEST_CASE("verification: it ends when the migration writes to one side only") {
  Marked bench;
  bench.call.force = true;  // while any key may differ
  bench.told.when_verified = [&bench](const auto&, const auto& progress, const auto& stop) {
    must(bench.patch_strategy("m", kOneSide));
    progress(all_of(1, 0));
    CHECK(stop.stop_requested());
    VerifyCounts counts = all_of(1, 0);
    counts.complete = false;
    counts.why = "stopped";
    return counts;
  };
  bench.start();
  CHECK(bench.ended() == "incomplete");
  CHECK(text_of(bench.verification(), "why") == "the migration writes to both sides no longer");
}

TEST_CASE("verification: it does not unsay which side of a key is right") {
  Marked bench;
  must(bench.patch_strategy("m", kBestEffort));
  std::promise<bool> noted;
  const Suspect written{.at = {kDefaultDb, "k"}, .doubt = Doubt::Outcome, .right = Side::New};
  REQUIRE_FALSE(bench.life->ledger.note("m", {written}, [&](bool yes) { noted.set_value(yes); }));
  REQUIRE(noted.get_future().get());
  bench.told.when_verified = [](const auto& found, const auto&, const auto&) {
    found({kDefaultDb, "k"});
    return all_of(2, 1);
  };
  bench.start();
  REQUIRE(bench.ended() == "complete");
  const Json shown = bench.divergence();
  const Json& entry = shown.find("entries")->elements()->front();
  CHECK(text_of(entry, "right") == "new");
  CHECK(text_of(entry, "reason") == "outcome");
}

TEST_CASE("verification: it is refused where there is nothing to be verified") {
  Marked bench;
  CHECK(bench.refusal("nosuch") == "404 Migration 'nosuch' does not exist");
  bench.call.force = true;  // while any key may differ
  must(bench.patch_strategy("m", kOneSide));
  CHECK(bench.refusal() ==
        "409 Cannot verify migration 'm': its strategy does not write to both sides");
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK(bench.refusal() == "409 Cannot verify migration in status: RolledBack");
}

TEST_CASE("verification: one at a time of a migration; a stop ends it and the mark stays") {
  Marked bench;
  std::promise<void> begun;
  bench.told.when_verified = [&](const auto&, const auto& progress, const std::stop_token& stop) {
    begun.set_value();
    while (!stop.stop_requested()) std::this_thread::yield();
    VerifyCounts counts = all_of(1, 0);
    counts.complete = false;
    counts.why = "stopped";
    progress(counts);
    return counts;
  };
  bench.start();
  begun.get_future().get();
  CHECK(bench.refusal() == "409 Migration 'm' is being verified already");
  CHECK(bench.state() == "running");
  bench.life->verifications.stop();
  CHECK(bench.state() == "incomplete");
  CHECK(text_of(bench.verification(), "why") == "the sidecar stops");
  CHECK(bench.is_marked());
}

TEST_CASE("verification: after one that has ended there may be another") {
  Marked bench;
  bench.told.when_verified = [](const auto&, const auto&, const auto&) { return all_of(3, 0); };
  for (int i = 0; i < 2; ++i) {
    bench.start();
    CHECK(bench.ended() == "complete");
  }
}

}  // namespace crossfade
