// Migrations through their life: what each call answers, and where it leaves traffic, disk and
// journal.
#include "../bench.h"

namespace crossfade {

namespace {

Answer patch(Bench& bench, const std::string& id, const std::string& body) {
  return bench.life->migrations.patch(id, json(body), bench.call);
}

Answer patch_strategy_of(Bench& bench, const std::string& id, const std::string& strategy) {
  return patch(bench, id, R"({"strategy":)" + strategy + "}");
}

Canary canary_in_force(const Bench& bench) {
  const auto& strategy = bench.plane.route("cache").strategy;
  REQUIRE(strategy.has_value());
  REQUIRE(std::holds_alternative<Canary>(*strategy));
  return std::get<Canary>(*strategy);
}

}  // namespace

TEST_CASE(
    "migrations: the guide's canary walks from 5 % to the full cutover, each step in force when "
    "answered") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("canary_migration", kCanary);
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  const Answer started = bench.life->conductor.migrate("canary_migration", bench.call);
  CHECK(must(started).data == Json("migration commit completed"));
  CHECK(*must(started).beside.find("epoch") == Json(bench.plane.table->epoch));
  CHECK(bench.status("canary_migration") == "running");
  CHECK(canary_in_force(bench).read_share == 50'000);
  CHECK(bench.plane.route("cache").new_side->port == 2);
  CHECK(bench.plane.route("cache").migration == "canary_migration");
  for (const auto& [percentage, share] :
       {std::pair("0.25", 250'000u), std::pair("0.75", 750'000u)}) {
    const Answer patched = patch_strategy_of(
        bench, "canary_migration",
        std::string(R"({"type":"canary","read_percentage":)") + percentage +
            R"(,"write_mode":{"mode":"dual_write","policy":"old_authoritative"}})");
    CHECK(*must(patched).data.find("epoch") == Json(bench.plane.table->epoch));
    CHECK(canary_in_force(bench).read_share == share);
  }
  must(patch_strategy_of(
      bench, "canary_migration",
      R"({"type":"canary","read_percentage":1.0,"write_mode":{"mode":"cutover","write_percentage":1.0}})"));
  CHECK(canary_in_force(bench).read_share == kWhole);
  CHECK(canary_in_force(bench).write_mode->write_share == kWhole);
  CHECK(canary_in_force(bench).write_mode->mode == WriteMode::Mode::Cutover);
}

TEST_CASE("migrations: a big bang is executed at once and complete") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", "null");
  CHECK(bench.status("m") == "completed");
  CHECK(std::holds_alternative<BigBang>(*bench.plane.route("cache").strategy));
  CHECK(bench.journal("m").back() == "running -> completed by tester");
}

TEST_CASE("migrations: blue-green flips both ways by PATCH") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green","active_is_new":false})");
  const auto active_is_new = [&] {
    return std::get<BlueGreen>(*bench.plane.route("cache").strategy).active_is_new;
  };
  CHECK_FALSE(active_is_new());
  must(patch_strategy_of(bench, "m", R"({"active_is_new":true})"));
  CHECK(active_is_new());
  must(patch_strategy_of(bench, "m", R"({"type":"blue_green","active_is_new":false})"));
  CHECK_FALSE(active_is_new());
}

TEST_CASE(
    "migrations: after a restart without farewell the table is what the last answered call left") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  must(patch_strategy_of(bench, "m", R"({"read_percentage":0.42})"));
  const InterlayRoute before = bench.plane.route("cache");
  bench.restart();
  REQUIRE(bench.life->booted.ok());
  const InterlayRoute after = bench.plane.route("cache");
  CHECK(after.strategy == before.strategy);
  CHECK(after.new_side == before.new_side);
  CHECK(after.old_side == before.old_side);
  CHECK(bench.plane.open.at("cache") == 7001);
}

TEST_CASE("migrations: forbidden moves have the guide's words and change nothing") {
  Bench bench;
  bench.add_sides();
  bench.add_migration("m", kCanary);
  Conductor& conductor = bench.life->conductor;
  CHECK(said(conductor.rollback("m", bench.call)) ==
        "409 Migration error: Cannot set RollingBack migration in status: Pending");
  CHECK(said(conductor.migrate("m", bench.call)) ==
        "409 Migration error: Cannot set Running migration in status: Pending");
  CHECK(said(conductor.pause("m", bench.call)) ==
        "409 Migration error: Cannot set Paused migration in status: Pending");
  bench.bind("m");
  CHECK(said(conductor.resume("m", bench.call)) ==
        "409 Migration error: Cannot set Running migration in status: Ready");
  CHECK(said(conductor.complete("m", bench.call)) ==
        "409 Migration error: Cannot set Completed migration in status: Ready");
  must(conductor.migrate("m", bench.call));
  CHECK(said(conductor.migrate("m", bench.call)) ==
        "409 Migration error: Cannot set Running migration in status: Running");
  CHECK(said(bench.life->migrations.remove("m", bench.call)) ==
        "409 Migration error: Cannot delete migration in status: Running");
  CHECK(said(conductor.complete("m", bench.call))
            .find("409 Migration error: Cannot set Completed migration in status: Running: its "
                  "strategy still sends traffic to old") == 0);
  CHECK(bench.status("m") == "running");
}

TEST_CASE("migrations: what is not there has the guide's words") {
  Bench bench;
  bench.add_sides();
  bench.add_migration("m", kCanary);
  Migrations& migrations = bench.life->migrations;
  const std::string missing = "404 Not found: Migration 'redis_migration_v2' does not exist";
  CHECK(said(migrations.get("redis_migration_v2", bench.call)) == missing);
  CHECK(said(patch(bench, "redis_migration_v2", "{}")) == missing);
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
  CHECK(said(migrations.add_api("m", "user_cache_api")) ==
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

TEST_CASE("migrations: a rolled-back migration can be started again") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(bench.plane.route("cache").strategy.has_value());
}

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

TEST_CASE(
    "migrations: a rollback that the loops do not confirm stays on disk and is ended by the next "
    "call") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  bench.plane.publishes_to_fail = 1;
  const Answer answer = bench.life->conductor.rollback("m", bench.call);
  CHECK(said(answer).find("503 Unavailable") == 0);
  CHECK(said(answer).find("call rollback again") != std::string::npos);
  CHECK(bench.status("m") == "rolling_back");
  CHECK(said(patch_strategy_of(bench, "m", R"({"read_percentage":0.9})")) ==
        "409 Migration error: Cannot change strategy of migration in status: RollingBack");
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK(bench.status("m") == "rolled_back");
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
}

TEST_CASE(
    "migrations: a rollback that a crash interrupted routes to old from the start, and is ended") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  bench.plane.publishes_to_fail = 1;
  (void)bench.life->conductor.rollback("m", bench.call);
  REQUIRE(bench.status("m") == "rolling_back");
  bench.restart();
  CHECK(bench.status("m") == "rolled_back");
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  CHECK(bench.journal("m").back() == "rolling_back -> rolled_back by crossfade");
}

TEST_CASE(
    "migrations: pause holds the routing, resume goes on, complete ends what moved everything") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"canary","read_percentage":1})");
  const TablePtr table = bench.plane.table;
  must(bench.life->conductor.pause("m", bench.call));
  CHECK(bench.status("m") == "paused");
  must(bench.life->conductor.resume("m", bench.call));
  must(bench.life->conductor.complete("m", bench.call));
  CHECK(bench.status("m") == "completed");
  CHECK(bench.plane.table == table);  // none of it was a change of routes
  CHECK(said(patch_strategy_of(bench, "m", R"({"read_percentage":0.5})")) ==
        "409 Migration error: Cannot change strategy of migration in status: Completed");
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
}

TEST_CASE("migrations: cancel ends what has not started, and rolls back what has") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("early", kCanary);
  must(bench.life->conductor.cancel("early", bench.call));
  CHECK(bench.status("early") == "rolled_back");
  bench.add_running("late", kCanary);
  must(bench.life->conductor.cancel("late", bench.call));
  CHECK(bench.status("late") == "rolled_back");
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  bench.add_running("done", "null");
  CHECK(said(bench.life->conductor.cancel("done", bench.call)) ==
        "409 Migration error: Cannot set RolledBack migration in status: Completed");
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

TEST_CASE(
    "migrations: the test connects to both sides and names what is wrong; migrate obeys it unless "
    "forced") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  const auto failed = [&] {
    const Answer answer = bench.life->conductor.test("m");
    const Json& data = must(answer).data;
    std::vector<std::string> names;
    for (const Json& check : *data.find("checks")->elements()) {
      if (!*check.find("ok")->boolean()) names.push_back(text_of(check, "name"));
    }
    CHECK(*data.find("valid") == Json(names.empty()));
    CHECK(*data.find("apis_tested") == Json(0));
    CHECK(*data.find("interlays_tested") == Json(std::uint64_t{1}));
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(failed() == Names{});
  RedisProbe& target = bench.told.up[2];
  target.role = "slave";
  CHECK(failed() == Names{"new_role"});
  const Answer refused = bench.life->conductor.migrate("m", bench.call);
  CHECK(
      said(refused) ==
      "409 Migration error: the test of migration 'm' failed: new_role of interlay 'cache': new is "
      "a replica: it would refuse every write");
  CHECK(std::get<Refusal>(refused).beside.find("checks")->elements()->size() == 1);
  CHECK(bench.status("m") == "ready");
  target = ToldServers::healthy();
  target.loading = true;
  CHECK(failed() == Names{"new_loading"});
  target = ToldServers::healthy();
  target.version = "6.2.1";
  CHECK(failed() == Names{"version"});
  target = ToldServers::healthy();
  target.cluster = true;
  CHECK(failed() == Names{"cluster"});
  target = ToldServers::healthy();
  target.maxmemory = 10;
  bench.told.up[1].used_memory = 11;
  CHECK(failed() == Names{"memory"});
  target = ToldServers::healthy();
  target.persists = false;  // matters to a big bang only
  CHECK(failed() == Names{});
  bench.told.up.erase(2);
  CHECK(failed() == Names{"new_reachable"});
  Call forced = bench.call;
  forced.force = true;
  CHECK(said(bench.life->conductor.migrate("m", forced)) == "200");
}

TEST_CASE("migrations: a durable big bang asks for a target that persists") {
  Bench bench;
  bench.add_sides();
  bench.told.up[2].persists = false;
  bench.add_ready("m", R"({"type":"big_bang"})");
  CHECK(
      said(bench.life->conductor.migrate("m", bench.call)).find("durability of interlay 'cache'") !=
      std::string::npos);
  must(patch_strategy_of(bench, "m", R"({"durability":false})"));
  must(bench.life->conductor.migrate("m", bench.call));
}

TEST_CASE(
    "migrations: data movement that this version does not do is refused at the start, and said "
    "why") {
  Bench bench;
  bench.add_sides();
  must(bench.life->migrations.create(
      json(
          R"({"id":"m","strategy":{"type":"shadow_traffic"},"data":{"type":"scan","replace":"replace"}})"),
      bench.call));
  bench.bind("m");
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .find("data_movement: this version moves no data") != std::string::npos);
  must(patch(bench, "m", R"({"data":"none"})"));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(said(patch(bench, "m", R"({"data":{"type":"scan"}})")) ==
        "409 Migration error: Cannot change data of migration in status: Running");
}

TEST_CASE("migrations: reads ahead of a cutover's writes are found by the test") {
  Bench bench;
  bench.add_sides();
  bench.add_ready(
      "m",
      R"({"type":"canary","read_percentage":0.5,"write_mode":{"mode":"cutover","write_percentage":0.1}})");
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .find("strategy: read_percentage is above") != std::string::npos);
}

TEST_CASE("migrations: while running no PATCH stands in for a big bang") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  const std::string refused =
      "409 Migration error: Cannot change strategy.type of migration in status: Running";
  CHECK(said(patch_strategy_of(bench, "m", R"({"type":"big_bang"})")) == refused);
  CHECK(said(patch_strategy_of(bench, "m", "null")) == refused);
  must(patch_strategy_of(bench, "m", R"({"type":"shadow_traffic"})"));
  CHECK(std::holds_alternative<ShadowTraffic>(*bench.plane.route("cache").strategy));
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

TEST_CASE("migrations: of two starts at once one goes on, the other is refused") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  // The second call comes while the first one asks the servers.
  std::string second;
  bench.told.when_asked = [&] {
    if (second.empty()) second = said(bench.life->conductor.migrate("m", bench.call));
  };
  CHECK(said(bench.life->conductor.migrate("m", bench.call)) == "200");
  CHECK(second == "409 Migration error: Migration 'm' is being started by another call");
  CHECK(bench.status("m") == "running");
}

TEST_CASE("migrations: what starts is what was tested") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  bench.told.when_asked = [&] {
    bench.told.when_asked = nullptr;
    must(patch_strategy_of(bench, "m", R"({"read_percentage":0.9})"));
  };
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .find("409 Migration error: Migration 'm' was changed") == 0);
  CHECK(bench.status("m") == "ready");
}

}  // namespace crossfade
