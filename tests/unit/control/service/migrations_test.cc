// Migrations as resources: what may be defined, changed, shown and deleted.
#include "../bench.h"

#include <algorithm>

namespace crossfade {

namespace {

Ledger::Summary must_summary(Bench& bench) {
  const auto summary =
      bench.life->ledger.summary(bench.life->keeper.state()->migrations.begin()->first);
  REQUIRE(summary.has_value());
  return *summary;
}

}  // namespace

TEST_CASE("migrations: what is not there has the guide's words") {
  Bench bench;
  bench.add_sides();
  bench.add_migration("m", kCanary);
  Migrations& migrations = bench.life->migrations;
  const std::string missing = "404 Not found: Migration 'redis_migration_v2' does not exist";
  CHECK(said(migrations.get("redis_migration_v2", bench.call)) == missing);
  CHECK(said(bench.patch("redis_migration_v2", "{}")) == missing);
  CHECK(said(migrations.remove("redis_migration_v2", bench.call)) == missing);
  CHECK(said(migrations.status("redis_migration_v2")) == missing);
  CHECK(said(migrations.events("redis_migration_v2", bench.call)) == missing);
  for (const auto command : {&Conductor::migrate, &Conductor::pause, &Conductor::resume,
                             &Conductor::complete, &Conductor::rollback, &Conductor::cancel}) {
    CHECK(said((bench.life->conductor.*command)("redis_migration_v2", bench.call)) == missing);
  }
  CHECK(said(bench.life->conductor.test("redis_migration_v2")) == missing);
  CHECK(said(migrations.add_interlay("m", "nope", json(R"({"endpoint":"new"})"), bench.call)) ==
        "404 Not found: Interlay 'nope' does not exist");
  CHECK(said(migrations.add_interlay("m", "cache", json(R"({"endpoint":"nope"})"), bench.call)) ==
        "404 Not found: Endpoint 'nope' does not exist");
  CHECK(said(migrations.add_api("m", "user_cache_api", json("{}"), bench.call)) ==
        "404 Not found: Api 'user_cache_api' does not exist");
  CHECK(said(migrations.create(json(R"({"id":"m"})"), bench.call)) ==
        "409 Migration error: Migration 'm' already exists");
}

TEST_CASE("migrations: every resource answers to its uuid as to its id") {
  Bench bench;
  bench.add_sides();
  bench.add_migration("m", kCanary);
  const StatePtr state = bench.life->keeper.state();
  const std::string migration = find(state->migrations, "m")->identity.uuid;
  const std::string interlay = find(state->interlays, "cache")->identity.uuid;
  const std::string endpoint = find(state->endpoints, "new")->identity.uuid;
  const Answer added = bench.life->migrations.add_interlay(
      migration, interlay, Json::object({{"endpoint", endpoint}}), bench.call);
  CHECK(must(added).data == Json("added Interlay to migration"));
  CHECK(must(added).beside == Json::object({}));
  must(bench.life->conductor.migrate(migration, bench.call));
  CHECK(bench.status(migration) == "running");
}

TEST_CASE("migrations: an interlay has at most one active migration") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("first", kCanary);
  bench.add_migration("second", kCanary);
  const auto bind_second = [&] {
    return said(bench.life->migrations.add_interlay("second", "cache",
                                                    json(R"({"endpoint":"new"})"), bench.call));
  };
  const std::string held = "409 Migration error: Interlay Schema already has an active migration";
  CHECK(bind_second() == held);
  must(bench.life->conductor.migrate("first", bench.call));
  CHECK(bind_second() == held);
  must(bench.life->conductor.rollback("first", bench.call));
  CHECK(bind_second() == "200");
  // Now the first one can not come back.
  CHECK(said(bench.life->conductor.migrate("first", bench.call)) == held);
}

TEST_CASE("migrations: deleting a completed one leaves its traffic on new, for good") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", "null");
  must(bench.life->migrations.remove("m", bench.call));
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  CHECK(bench.plane.route("cache").old_side.port == 2);
  CHECK(said(bench.life->endpoints.remove("old", bench.call)) ==
        "200");  // nobody needs it any more
  bench.restart();
  CHECK(bench.plane.route("cache").old_side.port == 2);
}

TEST_CASE("migrations: deleting one that does not route changes no route") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  must(bench.life->conductor.rollback("m", bench.call));
  const TablePtr table = bench.plane.table;
  must(bench.life->migrations.remove("m", bench.call));
  CHECK(bench.plane.table == table);
  CHECK(said(bench.life->migrations.get("m", bench.call)).find("404") == 0);
}

TEST_CASE("migrations: while running no PATCH stands in for a big bang") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  const std::string refused =
      "409 Migration error: Cannot change strategy.type of migration in status: Running";
  CHECK(said(bench.patch_strategy("m", R"({"type":"big_bang"})")) == refused);
  CHECK(said(bench.patch_strategy("m", "null")) == refused);
  must(bench.patch_strategy("m", R"({"type":"shadow_traffic"})"));
  CHECK(std::holds_alternative<ShadowTraffic>(*bench.plane.route("cache").strategy));
}

TEST_CASE("migrations: another side is made right by force only while the former one has more") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  const auto note = [&](Side right) {
    bench.life->ledger.note("m", {{{0, "k"}, Doubt::Unsent, right}}, nullptr);
  };
  const auto doubted = [&] { return !must_summary(bench).reasons.empty(); };
  std::string to = R"({"write_mode":{"mode":"dual_write","policy":"new_authoritative"}})";
  std::string why = "makes new right while the ledger has 1 keys";
  SUBCASE("nothing is known to differ") {
    must(bench.patch_strategy("m", to));
    CHECK_FALSE(doubted());
    return;
  }
  SUBCASE("its policy stays") {
    note(Side::New);
    must(bench.patch_strategy("m", R"({"read_percentage":0.5})"));
    CHECK_FALSE(doubted());
    return;
  }
  SUBCASE("all keys of the ledger are right there already") {
    note(Side::New);
    must(bench.patch_strategy("m", to));
    CHECK_FALSE(doubted());
    return;
  }
  SUBCASE("a key is right on the former one") { note(Side::Old); }
  SUBCASE("best_effort has left a key that is right on new") {
    must(bench.patch_strategy("m",
                              R"({"write_mode":{"mode":"dual_write","policy":"best_effort"}})"));
    note(Side::New);
    to = kCanary;
    why = "makes old right while the ledger has 1 keys";
  }
  SUBCASE("it comes back from a cutover") {
    note(Side::Old);
    must(bench.patch_strategy(
        "m", R"({"read_percentage":0,"write_mode":{"mode":"cutover","write_percentage":0}})"));
  }
  SUBCASE("any key may differ") {
    bench.life->ledger.note_all("m", "for a test", nullptr);
    why = "makes new right while any key may lack writes";
  }
  const Answer refused = bench.patch_strategy("m", to);
  CHECK(said(refused).find("409 Migration error: strategy.write_mode.policy: " + why) == 0);
  bench.call.force = true;
  must(bench.patch_strategy("m", to));
  const auto reasons = must_summary(bench).reasons;
  CHECK(std::any_of(reasons.begin(), reasons.end(), [](const LedgerReason& reason) {
    return reason.text.starts_with("another side was made right");
  }));
}

TEST_CASE("migrations: dual writes end, and a side answers alone, only where it lacks nothing") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  Side right = Side::Old;
  std::string why = "ends the writes to both sides and lets new answer while the ledger has 1 keys";
  SUBCASE("old was right") {}
  SUBCASE("new was right") {
    must(bench.patch_strategy(
        "m", R"({"write_mode":{"mode":"dual_write","policy":"new_authoritative"}})"));
    right = Side::New;
    why = "ends the writes to both sides and lets old answer while the ledger has 1 keys";
  }
  const bool was_old = right == Side::Old;
  const std::vector<std::string> lacking =
      was_old ? std::vector<std::string>{R"({"write_mode":null})",
                                         R"({"type":"blue_green","active_is_new":true})",
                                         R"({"type":"geographic","regions":{"eu":true}})"}
              : std::vector<std::string>{R"({"write_mode":null})", R"({"type":"blue_green"})",
                                         R"({"type":"shadow_traffic"})"};
  const std::string having =
      was_old ? R"({"type":"shadow_traffic"})" : R"({"type":"blue_green","active_is_new":true})";
  bench.life->ledger.note("m", {{{0, "k"}, Doubt::Unsent, right}}, nullptr);
  for (const std::string& strategy : lacking) {
    CAPTURE(strategy);
    CHECK(said(bench.patch_strategy("m", strategy))
              .find("409 Migration error: strategy.write_mode: " + why) == 0);
  }
  must(bench.patch_strategy("m", having));
  CHECK(must_summary(bench).reasons.empty());
}

TEST_CASE("migrations: one that may lack writes on new is completed by force only") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  const std::string all = R"({"type":"blue_green","active_is_new":true})";
  SUBCASE("keys are left") {
    bench.life->ledger.note("m", {{{0, "k"}, Doubt::Unsent, Side::Old}}, nullptr);
  }
  SUBCASE("any key may differ") { bench.life->ledger.note_all("m", "for a test", nullptr); }
  CHECK(said(bench.patch_strategy("m", all)).find("409 ") == 0);
  bench.call.force = true;
  must(bench.patch_strategy("m", all));
  bench.call.force = false;
  const std::string refused = said(bench.life->conductor.complete("m", bench.call));
  CAPTURE(refused);
  CHECK(refused.find("409 ") == 0);
  CHECK(refused.find(" (GET …/divergence); compare both sides, or complete with ?force=true") !=
        std::string::npos);
  bench.call.force = true;
  must(bench.life->conductor.complete("m", bench.call));
  CHECK(bench.status("m") == "completed");
}

TEST_CASE("migrations: nothing is completed over transactions that are open on old, but by force") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green","active_is_new":true})");
  REQUIRE(bench.plane.telemetry.interlays.size() == 1);
  auto& staying = bench.plane.telemetry.interlays.front().staying;
  staying[static_cast<std::size_t>(Stay::Transaction)] = 2;
  const std::string refused = said(bench.life->conductor.complete("m", bench.call));
  CHECK(refused.find("409 ") == 0);
  CHECK(refused.find("2 sessions are in the midst of a request or transaction that began on old") !=
        std::string::npos);
  CHECK(bench.status("m") == "running");
  SUBCASE("until they end") { staying = {}; }
  SUBCASE("by force") { bench.call.force = true; }
  must(bench.life->conductor.complete("m", bench.call));
  CHECK(bench.status("m") == "completed");
}

TEST_CASE("migrations: new does not begin as right where old was given more since both were") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  must(bench.life->conductor.rollback("m", bench.call));
  const std::string right = R"({"write_mode":{"mode":"dual_write","policy":"new_authoritative"}})";
  must(bench.patch_strategy("m", right));
  const Answer tested = bench.life->conductor.test("m");
  CHECK(to_text(must(tested).data).find("new would be right, and lacks what old alone was given") !=
        std::string::npos);
  CHECK(said(bench.life->conductor.migrate("m", bench.call)).find("409 ") == 0);
  SUBCASE("as old is right it does") {
    must(bench.patch_strategy("m", kCanary));
    must(bench.life->conductor.migrate("m", bench.call));
  }
  SUBCASE("by force it does") {
    bench.call.force = true;
    must(bench.life->conductor.migrate("m", bench.call));
  }
  CHECK(bench.status("m") == "running");
}

TEST_CASE("migrations: a conditional PATCH is refused when the migration has changed") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  Call conditional = bench.call;
  const Answer got = bench.life->migrations.get("m", bench.call);
  conditional.if_match = must(got).etag;
  CHECK_FALSE(conditional.if_match.empty());
  must(bench.life->migrations.patch("m", json(R"({"description":"a"})"), conditional));
  const Answer second =
      bench.life->migrations.patch("m", json(R"({"description":"b"})"), conditional);
  CHECK(said(second).find("412 Precondition failed: ") == 0);
  CHECK(text_of(must(bench.life->migrations.get("m", bench.call)).data, "description") == "a");
}

TEST_CASE("migrations: what is shown has the guide's fields, verbose has all") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  Call verbose = bench.call;
  verbose.verbose = true;
  const Answer listed = bench.life->migrations.list(bench.call);
  const Answer listed_verbose = bench.life->migrations.list(verbose);
  const Answer got = bench.life->migrations.get("m", bench.call);
  const Json& brief = must(listed).data.elements()->front();
  const Json& full = must(got).data;
  for (const char* name :
       {"id", "uuid", "description", "status", "strategy", "created_at", "updated_at"}) {
    CAPTURE(name);
    CHECK(brief.find(name) != nullptr);
    CHECK(full.find(name) != nullptr);
  }
  CHECK(brief.find("data") == nullptr);
  for (const char* name : {"data", "failure_handling", "apis", "interlays"}) {
    CAPTURE(name);
    CHECK(full.find(name) != nullptr);
    CHECK(must(listed_verbose).data.elements()->front().find(name) != nullptr);
  }
}

TEST_CASE("migrations: a deletion that the loops do not confirm leaves the journal as it was") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", "null");
  REQUIRE(bench.status("m") == "completed");
  const auto before = bench.journal("m");
  bench.plane.publishes_to_fail = 1;
  CHECK(said(bench.life->migrations.remove("m", bench.call)).find("503 Unavailable") == 0);
  auto expected = before;
  expected.emplace_back("completed -> completed by tester");
  expected.emplace_back("completed -> completed by crossfade");
  CHECK(bench.journal("m") == expected);
  bench.restart();
  CHECK(bench.journal("m") == expected);
  must(bench.life->migrations.remove("m", bench.call));
  bench.restart();
  CHECK(bench.life->keeper.state()->migrations.empty());
}

namespace {

std::string dual(const char* policy) {
  return R"({"type":"canary","read_percentage":1.0,"write_mode":{"mode":"dual_write","policy":")" +
         std::string(policy) + "\"}}";
}

void check_was_alone(Bench& bench) {
  const auto reasons = must_summary(bench).reasons;
  REQUIRE(reasons.size() == 1);
  CHECK(reasons[0].text ==
        "it began to write to both sides when new had writes that old does not have");
  CHECK(bench.life->ledger.suspects("m", 0, 0, "any key"));
}

constexpr const char* kAllOnNew =
    R"({"type":"canary","read_percentage":1.0,"write_mode":{"mode":"cutover","write_percentage":1.0}})";

}  // namespace

TEST_CASE("migrations: old is not made right of what was written on new alone, but by force") {
  Bench bench;
  bench.add_sides();
  SUBCASE("by a cutover") { bench.add_running("m", kAllOnNew); }
  SUBCASE("as writes follow reads") {
    bench.add_running("m", R"({"type":"blue_green","active_is_new":true})");
  }
  SUBCASE("by a cutover that was taken back") {
    bench.add_running("m", kAllOnNew);
    bench.plane.count_new_only_writes("cache", 3);
    must(bench.patch_strategy(
        "m",
        R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"cutover","write_percentage":0}})"));
  }
  bench.plane.count_new_only_writes("cache", 3);
  for (const char* policy : {"old_authoritative", "best_effort"}) {
    CHECK(
        said(bench.patch_strategy("m", dual(policy)))
            .find("409 Migration error: strategy.write_mode.policy: 3 writes went to new alone") ==
        0);
  }
  bench.call.force = true;
  must(bench.patch_strategy("m", dual("old_authoritative")));
  check_was_alone(bench);
}

TEST_CASE("migrations: where each side has writes that the other lacks neither is made right") {
  Bench bench;
  bench.add_sides();
  bench.add_running(
      "m",
      R"({"type":"canary","read_percentage":0.5,"write_mode":{"mode":"cutover","write_percentage":0.5}})");
  bench.plane.count_new_only_writes("cache", 3);
  CHECK(said(bench.patch_strategy("m", dual("new_authoritative")))
            .find("409 Migration error: strategy.write_mode.policy: some writes went to old alone "
                  "and others to new alone") == 0);
  bench.call.force = true;
  must(bench.patch_strategy("m", dual("new_authoritative")));
  must(bench.patch_strategy("m", kAllOnNew));
  bench.call.force = false;
  CHECK(said(bench.life->conductor.complete("m", bench.call)).find("409 ") == 0);
}

TEST_CASE("migrations: no way about leads to a side that lacks what the other one has") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  bench.life->ledger.note_all("m", "for a test", nullptr);
  const std::string aside =
      R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"cutover","write_percentage":0}})";
  std::string to;
  SUBCASE("by a ramp") {
    to =
        R"({"type":"canary","read_percentage":0,"write_mode":null,"ramp":{"steps":[0.5,1.0],"hold_s":60}})";
  }
  SUBCASE("by a time on old, to new as right") {
    must(bench.patch_strategy("m", aside));
    to = dual("new_authoritative");
  }
  SUBCASE("by a time on old, to new alone") {
    must(bench.patch_strategy("m", aside));
    to = R"({"type":"blue_green","active_is_new":true})";
  }
  SUBCASE("by shadow traffic") {
    must(bench.patch_strategy("m", R"({"type":"shadow_traffic"})"));
    to = R"({"type":"blue_green","active_is_new":true})";
  }
  CHECK(said(bench.patch_strategy("m", to)).substr(0, 4) == "409 ");
  // Old has had all of it, all the time.
  must(bench.patch_strategy("m", aside));
  must(bench.patch_strategy("m", kCanary));
}

TEST_CASE("migrations: old is made right of what was on new alone when that was verified") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kAllOnNew);
  bench.plane.count_new_only_writes("cache", 3);
  must(bench.patch_strategy("m", dual("new_authoritative")));
  check_was_alone(bench);
  CHECK(said(bench.patch_strategy("m", dual("old_authoritative")))
            .find("409 Migration error: strategy.write_mode.policy: makes old right while any key "
                  "may lack writes there that new has") == 0);
  SUBCASE("what old lacks keeps nobody from being complete without it") {
    must(bench.patch_strategy("m", kAllOnNew));
    must(bench.life->conductor.complete("m", bench.call));
    return;
  }
  const std::uint64_t doubts = bench.life->ledger.begin_verification("m");
  REQUIRE(bench.life->ledger.verified("m", doubts));
  must(bench.patch_strategy("m", dual("old_authoritative")));
}

TEST_CASE("migrations: old is made right where nothing was ever written on new alone") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kAllOnNew);
  SUBCASE("in this process") {}
  SUBCASE("in one that ended cleanly") {
    bench.life->new_only_writes.save_exactly();
    bench.restart();
  }
  must(bench.patch_strategy("m", dual("old_authoritative")));
  CHECK(must_summary(bench).reasons.empty());
}

TEST_CASE("migrations: where a crash may have cost the count, what moves writes may have written") {
  Bench bench;
  bench.add_sides();
  SUBCASE("it does") {
    bench.add_running("m", kAllOnNew);
    bench.restart();
    CHECK(
        said(bench.patch_strategy("m", dual("old_authoritative")))
            .find(
                "409 Migration error: strategy.write_mode.policy: at least 0 writes went to new") ==
        0);
  }
  SUBCASE("it does not") {
    bench.add_running(
        "m",
        R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"cutover","write_percentage":0}})");
    bench.restart();
    must(bench.patch_strategy("m", dual("old_authoritative")));
  }
}

}  // namespace crossfade
