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
    must(bench.patch_strategy("m", R"({"write_mode":{"mode":"cutover","write_percentage":0}})"));
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

}  // namespace crossfade
