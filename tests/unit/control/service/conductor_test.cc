// Migrations through their life: what each step answers, and where it leaves traffic, disk and
// journal.
#include <tuple>

#include "../bench.h"

namespace crossfade {

namespace {

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
    const Answer patched = bench.patch_strategy(
        "canary_migration",
        std::string(R"({"type":"canary","read_percentage":)") + percentage +
            R"(,"write_mode":{"mode":"dual_write","policy":"old_authoritative"}})");
    CHECK(*must(patched).data.find("epoch") == Json(bench.plane.table->epoch));
    CHECK(canary_in_force(bench).read_share == share);
  }
  must(bench.patch_strategy(
      "canary_migration",
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
  must(bench.patch_strategy("m", R"({"active_is_new":true})"));
  CHECK(active_is_new());
  must(bench.patch_strategy("m", R"({"type":"blue_green","active_is_new":false})"));
  CHECK_FALSE(active_is_new());
}

TEST_CASE(
    "migrations: after a restart without farewell the table is what the last answered call left") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  must(bench.patch_strategy("m", R"({"read_percentage":0.42})"));
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

TEST_CASE("migrations: a rolled-back migration can be started again") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(bench.plane.route("cache").strategy.has_value());
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
  CHECK(said(bench.patch_strategy("m", R"({"read_percentage":0.9})")) ==
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
  CHECK(said(bench.patch_strategy("m", R"({"read_percentage":0.5})")) ==
        "409 Migration error: Cannot change strategy of migration in status: Completed");
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
}

TEST_CASE("rolling_update: its name moves a sidecar, the number of all lets it be completed") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"rolling_update","total_instances":2})");
  const auto here = [&] {
    return std::get<RollingUpdate>(*bench.plane.route("cache").strategy).here_migrated;
  };
  CHECK_FALSE(here());
  const TablePtr table = bench.plane.table;
  must(bench.patch_strategy("m", R"({"migrated_instances":["another"]})"));
  CHECK(bench.plane.table == table);  // nothing is new to this one
  must(bench.patch_strategy("m", R"({"migrated_instances":["another","one"]})"));
  CHECK(here());
  must(bench.patch_strategy("m", R"({"migrated_instances":["another"]})"));
  CHECK_FALSE(here());
  CHECK(said(bench.life->conductor.complete("m", bench.call))
            .find("409 Migration error: Cannot set Completed migration in status: Running: its "
                  "strategy still sends traffic to old") == 0);
  must(bench.patch_strategy("m", R"({"migrated_instances":["another","one"]})"));
  bench.restart();
  CHECK(here());
  CHECK(bench.status("m") == "running");  // being complete is the operator's to say
  must(bench.life->conductor.complete("m", bench.call));
  CHECK(here());
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

TEST_CASE("migrations: of two starts at once one goes on, the other is refused") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  // The second call comes while the first one asks the servers.
  std::string second;
  bench.told.when_first_asked = [&] {
    second = said(bench.life->conductor.migrate("m", bench.call));
  };
  CHECK(said(bench.life->conductor.migrate("m", bench.call)) == "200");
  CHECK(second == "409 Migration error: Migration 'm' is being started by another call");
  CHECK(bench.status("m") == "running");
}

TEST_CASE("migrations: what starts is what was tested") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  bench.told.when_first_asked = [&] {
    must(bench.patch_strategy("m", R"({"read_percentage":0.9})"));
  };
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .find("409 Migration error: Migration 'm' was changed") == 0);
  CHECK(bench.status("m") == "ready");
}

namespace {

// A rolling update of "cache" before shard "s0" and "second" before shard "s1".
struct ShardBench : Bench {
  ShardBench() {
    add_sides();
    add_endpoint("old2", 1);
    add_interlay("second", "old2", 7002);
    set_shard("old", R"("s0")");
    set_shard("old2", R"("s1")");
    add_ready("m", R"({"type":"rolling_update","total_instances":2})");
    must(life->migrations.add_interlay("m", "second", json(R"({"endpoint":"new"})"), call));
  }
  Answer patch_shard(const std::string& endpoint, const std::string& shard) {
    return life->endpoints.patch(endpoint, json(R"({"config":{"shard":)" + shard + "}}"), call);
  }
  void set_shard(const std::string& endpoint, const std::string& shard) {
    must(patch_shard(endpoint, shard));
  }
  void name(const std::string& names) {
    must(patch_strategy("m", R"({"migrated_instances":)" + names + "}"));
  }
  // Of "cache" and of "second".
  std::string on_new() {
    std::string all;
    for (const char* id : {"cache", "second"}) {
      const auto& strategy = plane.route(id).strategy;
      all += strategy && home(*strategy) == Side::New ? '1' : '0';
    }
    return all;
  }
  std::string shown(const char* member) {
    const Json data = must(life->migrations.status("m")).data;
    std::string all;
    for (const Json& one : *data.find("interlays")->elements()) all += text_of(one, member) + " ";
    return all;
  }
};

}  // namespace

TEST_CASE("rolling_update: an interlay goes with its shard, or with its sidecar") {
  ShardBench bench;
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(bench.on_new() == "00");
  bench.name(R"(["s1"])");
  CHECK(bench.on_new() == "01");
  CHECK(bench.shown("shard") == "s0 s1 ");
  CHECK(bench.shown("migrated") == "false true ");
  const Json told = must(bench.life->conductor.test("m")).data;
  CHECK(to_text(told).find("interlay 'cache', before shard 's0', stays on old; interlay 'second', "
                           "before shard 's1', goes to new") != std::string::npos);
  bench.restart();
  CHECK(bench.on_new() == "01");
  bench.name(R"(["one"])");  // the sidecar's own
  CHECK(bench.on_new() == "11");
  bench.name(R"(["s0"])");
  CHECK(bench.on_new() == "10");
}

TEST_CASE("rolling_update: it is complete when each interlay here is on new, and stays so") {
  ShardBench bench;
  must(bench.life->conductor.migrate("m", bench.call));
  const std::string refused =
      "409 Migration error: Cannot set Completed migration in status: Running: its strategy still "
      "sends traffic to old, and completing moves none";
  for (const char* some : {R"(["s1"])", R"(["s1","elsewhere"])", R"(["another","elsewhere"])"}) {
    bench.name(some);
    CHECK(said(bench.life->conductor.complete("m", bench.call)) == refused);
  }
  bench.name(R"(["s1","s0"])");
  must(bench.life->conductor.complete("m", bench.call));
  CHECK(bench.on_new() == "11");
  bench.set_shard("old", R"("other")");
  bench.set_shard("old2", "null");
  CHECK(bench.on_new() == "11");
  CHECK(bench.shown("migrated") == "true true ");
  bench.restart();
  CHECK(bench.on_new() == "11");
}

TEST_CASE("rolling_update: a shard is not changed while that would take its interlay elsewhere") {
  ShardBench bench;
  bench.set_shard("old", R"("s5")");  // it does not route yet
  bench.set_shard("old", R"("s0")");
  must(bench.life->conductor.migrate("m", bench.call));
  bench.name(R"(["s1"])");
  bench.call.force = true;
  for (const bool paused : {false, true}) {
    if (paused) must(bench.life->conductor.pause("m", bench.call));
    for (const auto& [endpoint, shard, interlay] :
         {std::tuple("old2", "null", "second"), std::tuple("old2", R"("s2")", "second"),
          std::tuple("old", R"("s1")", "cache")}) {
      CHECK(said(bench.patch_shard(endpoint, shard)) ==
            "409 Migration error: config.shard: migration 'm' goes by it in status: " +
                std::string(paused ? "Paused" : "Running") + ", and interlay '" + interlay +
                "' would go to the other side: PATCH migrated_instances, or roll back first");
    }
    bench.set_shard("old", R"("s7")");  // one that is not named, either
    CHECK(bench.on_new() == "01");
    bench.set_shard("old", R"("s0")");
  }
  must(bench.life->conductor.rollback("m", bench.call));
  bench.set_shard("old2", "null");
}

}  // namespace crossfade
