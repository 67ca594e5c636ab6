// What the ledger is told when a migration begins to write to both sides.
#include "../bench.h"
#include "control/service/watched_servers.h"

namespace crossfade {

namespace {

struct Watching : Bench {
  Watching() {
    told.up[1].sight.run_id = "old-1";
    told.up[2].sight.run_id = "new-1";
    add_sides();
  }

  // The watch for restarts looks, for the first time.
  void look() {
    WatchedServers watched(life->keeper, life->ledger);
    for (const WatchedServer& server : watched.all()) {
      const auto up = told.up.find(server.address.port);
      if (up != told.up.end()) watched.saw(server, up->second.sight);
    }
  }
  std::vector<std::string> reasons() {
    std::vector<std::string> texts;
    const auto summary = life->ledger.summary(life->keeper.state()->migrations.begin()->first);
    REQUIRE(summary.has_value());
    for (const LedgerReason& reason : summary->reasons) texts.push_back(reason.text);
    return texts;
  }
};

}  // namespace

TEST_CASE("dual writes: a server that starts again before the watch has seen it is noticed") {
  Watching bench;
  SUBCASE("started by migrate") { bench.add_running("m", kCanary); }
  SUBCASE("started by a PATCH") {
    bench.add_running("m", R"({"type":"blue_green"})");
    must(bench.patch_strategy("m", kCanary));
  }
  CHECK(bench.reasons().empty());
  bench.told.up[2].sight.run_id = "new-2";
  bench.look();
  REQUIRE(bench.reasons().size() == 1);
  CHECK(bench.reasons()[0].starts_with("new endpoint 'new' was started again"));
}

TEST_CASE("dual writes: a server that is the same at the first look raises no doubt") {
  Watching bench;
  SUBCASE("and told who it is") {}
  SUBCASE("and did not tell") { bench.told.up[2].sight.run_id.clear(); }
  bench.add_running("m", kCanary);
  if (bench.told.up[2].sight.run_id.empty()) bench.told.up[2].sight.run_id = "untold 1";
  bench.look();
  must(bench.patch_strategy("m", R"({"read_percentage":0.5})"));
  bench.look();
  CHECK(bench.reasons().empty());
}

TEST_CASE(
    "dual writes: what a server was long ago says nothing of one that was not reached since") {
  Watching bench;
  bench.add_ready("m", kCanary);
  const RedisProbe before = bench.told.up[2];
  bench.told.up.erase(2);
  bench.call.force = true;
  must(bench.life->conductor.migrate("m", bench.call));
  bench.told.up[2] = before;
  bench.told.up[2].sight.run_id = "new-2";
  bench.look();
  CHECK(bench.reasons().empty());
}

}  // namespace crossfade
