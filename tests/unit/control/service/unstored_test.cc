// The way back is in force though the store refuses it, is said to be unstored, and is stored
// before anything else is.
#include "../bench.h"
#include "../failing_sync.h"
#include "../no_room.h"
#include "control/ledger/reasons.h"

namespace crossfade {

namespace {

bool on_new(const Bench& bench) { return bench.plane.route("cache").strategy.has_value(); }

std::vector<std::string> doubts(const Bench& bench) {
  std::vector<std::string> texts;
  const MigrationPtr migration = find(bench.life->keeper.state()->migrations, "m");
  const auto summary = bench.life->ledger.summary(migration->identity.uuid);
  REQUIRE(summary.has_value());
  for (const LedgerReason& reason : summary->reasons) {
    texts.push_back(reason.text);
  }
  return texts;
}

bool is_open(const Bench& bench) {
  const MigrationPtr migration = find(bench.life->keeper.state()->migrations, "m");
  return bench.life->ledger.is_open(migration->identity.uuid);
}

std::string unstored(Bench& bench) {
  return to_text(*must(bench.life->migrations.status("m")).data.find("unstored"));
}

// The store is not as this process has left it, and so takes nothing from it any more.
void change_behind_its_back(Bench& bench) {
  REQUIRE(bench.life->store->apply({}, bench.life->store->read()->revision).ok());
}

// A rollback that only the store refuses.
std::string roll_back_unstored(Bench& bench) {
  const NoRoom no_room;
  return said(bench.life->conductor.rollback("m", bench.call));
}

}  // namespace

TEST_CASE("unstored: a rollback is in force though it can not be stored, and says all of that") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  const std::string answer = roll_back_unstored(bench);
  CHECK(answer.find("503 Unavailable: rolled back: all traffic is on old, no write went to new "
                    "only; this is in force, and not stored: ") == 0);
  CHECK(answer.find("in status running") != std::string::npos);
  CHECK_FALSE(on_new(bench));
  CHECK(bench.status("m") == "rolled_back");
  CHECK(unstored(bench).find(R"("stored_status":"running")") != std::string::npos);
  CHECK(bench.journal("m").back() == "ready -> running by tester");
  CHECK(must(bench.life->migrations.get("m", bench.call)).etag.empty());
  CHECK(bench.log.text().find("what is in force is not stored: ") != std::string::npos);

  CHECK(bench.life->keeper.store_again());
  CHECK(unstored(bench) == "null");
  CHECK_FALSE(must(bench.life->migrations.get("m", bench.call)).etag.empty());
  const auto lines = bench.journal("m");
  REQUIRE(lines.size() == 5);
  CHECK(lines[3] == "running -> rolling_back by tester");
  CHECK(lines[4] == "rolling_back -> rolled_back by tester");
  bench.restart();
  CHECK(bench.status("m") == "rolled_back");
  CHECK_FALSE(on_new(bench));
}

TEST_CASE("unstored: nothing else is done until it is stored, and each next call tries that") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  bench.add_migration("other", "null");
  Conductor& conductor = bench.life->conductor;
  {
    const NoRoom no_room;
    (void)conductor.rollback("m", bench.call);
    const std::size_t handed = bench.plane.epochs.size();
    for (const Answer& answer :
         {conductor.migrate("m", bench.call), bench.patch("other", R"({"description":"d"})"),
          bench.life->migrations.remove("m", bench.call)}) {
      CHECK(said(answer).find("503 Unavailable: write the state file: ") == 0);
      CHECK(said(answer).find("nothing was changed") != std::string::npos);
    }
    CHECK(said(conductor.resume("m", bench.call)) ==
          "409 Migration error: Cannot set Running migration in status: RolledBack");
    for (const Answer& answer :
         {conductor.rollback("m", bench.call), conductor.cancel("m", bench.call)}) {
      CHECK(said(answer).find("503 Unavailable: rolled back: all traffic is on old") == 0);
    }
    CHECK_FALSE(bench.life->keeper.store_again());
    CHECK(bench.status("m") == "rolled_back");
    CHECK(bench.plane.epochs.size() == handed);
    CHECK_FALSE(on_new(bench));
  }
  std::string status = "rolled_back";
  SUBCASE("a rollback again confirms it") {
    const Answer answer = conductor.rollback("m", bench.call);
    CHECK(text_of(must(answer).data, "status") == status);
    CHECK(text_of(must(answer).data, "message") ==
          "rolled back: all traffic is on old, no write went to new only");
  }
  SUBCASE("so does cancel") { must(conductor.cancel("m", bench.call)); }
  SUBCASE("a change of another migration stores it along") {
    must(bench.patch("other", R"({"description":"d"})"));
  }
  SUBCASE("a change that is taken back does, too") {
    bench.plane.publishes_to_fail = 1;
    must(bench.life->migrations.add_interlay("other", "cache", json(R"({"endpoint":"new"})"),
                                             bench.call));
    CHECK(said(conductor.migrate("other", bench.call)).find("503") == 0);
  }
  SUBCASE("a start stores it, and itself") {
    must(conductor.migrate("m", bench.call));
    status = "running";
  }
  CHECK(bench.life->keeper.unstored().empty());
  const auto lines = bench.journal("m");
  REQUIRE(lines.size() >= 5);
  CHECK(lines[3] == "running -> rolling_back by tester");
  CHECK(lines[4] == "rolling_back -> rolled_back by tester");
  CHECK(lines.size() == (status == "running" ? 6 : 5));
  bench.restart();
  CHECK(bench.status("m") == status);
  CHECK(on_new(bench) == (status == "running"));
}

TEST_CASE("unstored: a deletion that is stored stores the way back with it") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  (void)roll_back_unstored(bench);
  must(bench.life->migrations.remove("m", bench.call));
  CHECK(bench.life->keeper.unstored().empty());
  bench.restart();
  CHECK(bench.life->keeper.state()->migrations.empty());
  CHECK_FALSE(on_new(bench));
}

TEST_CASE("unstored: two migrations that went back are stored in one") {
  Bench bench;
  bench.add_sides();
  bench.add_interlay("other", "old", 7002);
  bench.add_running("m", kShadow);
  bench.add_migration("n", kShadow);
  must(
      bench.life->migrations.add_interlay("n", "other", json(R"({"endpoint":"new"})"), bench.call));
  must(bench.life->conductor.migrate("n", bench.call));
  {
    const NoRoom no_room;
    for (const char* id : {"m", "n"}) (void)bench.life->conductor.rollback(id, bench.call);
  }
  const Revision revision = bench.life->store->read()->revision;
  CHECK(bench.life->keeper.store_again());
  CHECK(bench.life->store->read()->revision == revision + 1);
  bench.restart();
  for (const char* id : {"m", "n"}) CHECK(bench.status(id) == "rolled_back");
}

TEST_CASE("unstored: a restart goes by the store, and the ledger knows of the time on old alone") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  change_behind_its_back(bench);
  const std::string answer = said(bench.life->conductor.rollback("m", bench.call));
  CHECK(answer.find("this is in force, and not stored: change the store from revision ") !=
        std::string::npos);
  CHECK_FALSE(on_new(bench));
  CHECK(doubts(bench) == std::vector<std::string>{kBackUnstored});
  for (int i = 0; i < 5; ++i) bench.life->dual_writes.sample();
  CHECK(is_open(bench));  // writes to both sides are what the store has
  bench.life->ledger.stop(Ledger::End::Clean);
  bench.restart();
  CHECK(bench.status("m") == "running");
  CHECK(on_new(bench));
  CHECK(doubts(bench) == std::vector<std::string>{kBackUnstored});
  CHECK(bench.life->ledger.suspects("m", 0, 0, "any"));  // reads go to the authority
  must(bench.life->conductor.rollback("m", bench.call));
  for (int i = 0; i < 5; ++i) bench.life->dual_writes.sample();
  CHECK_FALSE(is_open(bench));
}

TEST_CASE(
    "unstored: killed while neither file can be written, the mark says that keys may differ") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  {
    const NoRoom no_room;
    (void)bench.life->conductor.rollback("m", bench.call);
    for (int i = 0; i < 5; ++i) bench.life->dual_writes.sample();
    bench.life->ledger.stop(Ledger::End::Unclean);
  }
  bench.restart();
  CHECK(bench.status("m") == "running");
  CHECK_FALSE(doubts(bench).empty());
}

TEST_CASE("unstored: a loop that is late as well is told of, and the next call ends it") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  Conductor& conductor = bench.life->conductor;
  {
    const NoRoom no_room;
    bench.plane.publishes_to_fail = 1;
    const std::string answer = said(conductor.rollback("m", bench.call));
    CHECK(answer.find("503 Unavailable: publish the routing table: ") == 0);
    CHECK(answer.find("; the rollback is not stored (") != std::string::npos);
    CHECK(bench.status("m") == "rolling_back");
    CHECK(said(conductor.rollback("m", bench.call)).find("rolled back: all traffic is on old") !=
          std::string::npos);
    CHECK(bench.status("m") == "rolled_back");
  }
  CHECK_FALSE(on_new(bench));
  must(conductor.rollback("m", bench.call));
  CHECK(bench.journal("m").size() == 5);
}

TEST_CASE("unstored: guardrails go back as well, and one interlay alone does") {
  Bench bench;
  bench.add_sides();
  bench.add_interlay("other", "old", 7002);
  bench.add_ready("m", kShadow);
  must(
      bench.life->migrations.add_interlay("m", "other", json(R"({"endpoint":"new"})"), bench.call));
  must(bench.life->conductor.migrate("m", bench.call));
  Life& life = *bench.life;
  const MigrationPtr seen = find(life.keeper.state()->migrations, "m");
  const std::string interlay = find(life.keeper.state()->interlays, "cache")->identity.uuid;
  {
    const NoRoom no_room;
    const std::string answer =
        said(life.conductor.take_back_interlay(*seen, interlay, "it failed", kGuardActor));
    CHECK(answer.find("503 Unavailable: interlay 'cache' is on old; this is in force, and not "
                      "stored: ") == 0);
    CHECK_FALSE(on_new(bench));
    CHECK(bench.plane.route("other").strategy.has_value());
    CHECK(bench.status("m") == "running");
    const MigrationPtr now = find(life.keeper.state()->migrations, "m");
    CHECK(said(life.conductor.take_back(*now, "all failed", kGuardActor)).find("503") == 0);
    CHECK_FALSE(bench.plane.route("other").strategy.has_value());
  }
  CHECK(life.keeper.store_again());
  bench.restart();
  CHECK(bench.status("m") == "rolled_back");
  const auto lines = bench.journal("m");
  CHECK(lines.back() == "rolling_back -> rolled_back by guardrail");
  CHECK(lines[lines.size() - 3] == "running -> running by guardrail");
}

TEST_CASE("unstored: what a failing disk may have kept all the same is stored once") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green","active_is_new":true})");
  syncs_to_fail = 1'000;
  const std::string answer = said(bench.life->conductor.rollback("m", bench.call));
  syncs_to_fail = 0;
  CHECK(answer.find("503 Unavailable: rolled back") == 0);
  CHECK_FALSE(on_new(bench));
  CHECK(bench.life->keeper.store_again());
  CHECK(bench.journal("m").size() == 5);
  bench.restart();
  CHECK(bench.status("m") == "rolled_back");
  CHECK(bench.journal("m").size() == 5);
}

}  // namespace crossfade
