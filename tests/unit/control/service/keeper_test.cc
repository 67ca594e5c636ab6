// What is durable, in force and shown agree, whatever fails.
#include "control/service/keeper.h"

#include "../bench.h"
#include "../failing_sync.h"

namespace crossfade {

namespace {

// What the store would bring back, as texts.
std::vector<std::string> durable(Store& store) {
  auto stored = store.read();
  REQUIRE(stored.ok());
  std::vector<std::string> bodies;
  for (const Document& document : stored->documents) bodies.push_back(document.body);
  return bodies;
}

}  // namespace

TEST_CASE("keeper: epochs grow, also across restarts, and only when routes change") {
  Bench bench;
  bench.add_sides();
  const std::uint64_t before = bench.life->keeper.epoch();
  bench.add_ready("m", kCanary);  // a migration that does not run routes nothing
  CHECK(bench.life->keeper.epoch() == before);
  must(bench.life->conductor.migrate("m", bench.call));
  const std::uint64_t after = bench.life->keeper.epoch();
  CHECK(after > before);
  bench.restart();
  CHECK(bench.plane.table->epoch > after);
  CHECK(bench.life->keeper.epoch() == bench.plane.table->epoch);
}

TEST_CASE("keeper: a decision is on disk before any request can follow it") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", R"({"type":"big_bang","durability":true})");
  int published = 0;
  bench.plane.when_published = [&] {
    ++published;
    std::string all;
    for (const std::string& body : durable(*bench.life->store)) all += body;
    CHECK(all.find(R"("status":"completed")") != std::string::npos);
  };
  must(bench.life->conductor.migrate("m", bench.call));
  bench.plane.when_published = nullptr;
  CHECK(published == 1);
}

TEST_CASE("keeper: a table that the loops do not confirm is taken back everywhere") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  const auto before = durable(*bench.life->store);
  const StatePtr shown = bench.life->keeper.state();
  bench.plane.publishes_to_fail = 1;
  const Answer answer = bench.life->conductor.migrate("m", bench.call);
  CHECK(said(answer).find("503 Unavailable") == 0);
  CHECK(said(answer).find("it was taken back: nothing is changed") != std::string::npos);
  CHECK(durable(*bench.life->store) == before);
  CHECK(bench.life->keeper.state() == shown);
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  CHECK(bench.status("m") == "ready");
  // The journal does not hide it.
  CHECK(bench.journal("m") ==
        std::vector<std::string>{"null -> pending by tester", "pending -> ready by tester",
                                 "ready -> running by tester", "running -> ready by crossfade"});
  // And the call can be made again.
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(bench.plane.route("cache").strategy.has_value());
}

TEST_CASE(
    "keeper: when even the way back is not confirmed, disk and answers agree, and the next turn "
    "publishes") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  bench.plane.publishes_to_fail = 2;
  const Answer answer = bench.life->conductor.migrate("m", bench.call);
  CHECK(said(answer).find("not every loop has confirmed that yet") != std::string::npos);
  CHECK(bench.status("m") == "ready");
  const std::size_t handed = bench.plane.epochs.size();
  bench.add_migration("other", "null");  // routes nothing, but what is in force is not certain yet
  CHECK(bench.plane.epochs.size() == handed + 1);
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
}

TEST_CASE("keeper: a table is confirmed once every loop has taken it over, however late") {
  Bench bench;
  Keeper& keeper = bench.life->keeper;
  bench.add_sides();
  bench.plane.when_published = [&] { CHECK(keeper.confirmed()); };  // no change is news by itself
  bench.add_ready("m", kCanary);
  must(bench.life->conductor.migrate("m", bench.call));
  bench.plane.when_published = nullptr;
  bench.plane.publishes_to_fail = 1;
  must(bench.life->migrations.create(json(R"({"id":"n"})"), bench.call));
  CHECK(keeper.confirmed());
  CHECK(said(bench.life->conductor.rollback("m", bench.call)).find("503") == 0);
  CHECK_FALSE(keeper.confirmed());
  const Keeper::Turn turn = keeper.begin();
  CHECK_FALSE(keeper.outdated(turn.next));  // nothing is published to loops that do not answer
  bench.plane.telemetry.adopted_epoch = bench.plane.epochs.back();
  CHECK(keeper.confirmed());
}

TEST_CASE("keeper: a table is outdated when a server has told its commands since") {
  Bench bench;
  bench.add_sides();
  RedisProbe probe = bench.told.up[1];
  probe.commands = std::make_shared<const redis::CommandTable>(std::vector<redis::CommandSpec>());
  bench.told.up.erase(1);
  bench.restart();  // old tells nothing now
  Keeper& keeper = bench.life->keeper;
  CHECK_FALSE(keeper.outdated(keeper.begin().next));
  bench.told.up[1] = probe;
  const EndpointPtr old = find(keeper.state()->endpoints, "old");
  REQUIRE(bench.life->servers.ask(old->identity.uuid, old->address, 1).ok());
  Keeper::Turn turn = keeper.begin();
  CHECK(keeper.outdated(turn.next));
  REQUIRE(keeper.commit(turn).ok());
  CHECK_FALSE(keeper.outdated(turn.next));
  CHECK(bench.plane.route("cache").commands == probe.commands);
}

TEST_CASE("keeper: a store that fails changes nothing, and no table is handed out") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  const std::size_t handed = bench.plane.epochs.size();
  // Whoever holds a write transaction of the file makes every other one fail.
  Keeper::Turn turn = bench.life->keeper.begin();
  EndpointPtr old = find(turn.next.endpoints, "old");
  Endpoint twin = *old;
  twin.identity.uuid = make_uuid();  // the store refuses two of one id
  put(turn.next.endpoints, twin);
  const Status status = bench.life->keeper.commit(turn);
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().code == Errc::Unavailable);
  CHECK(status.error().message().find("nothing was changed") != std::string::npos);
  CHECK(bench.plane.epochs.size() == handed);
  CHECK(bench.life->keeper.state()->endpoints.size() == 2);
}

TEST_CASE("keeper: a turn that is let go changes nothing") {
  Bench bench;
  bench.add_sides();
  {
    Keeper::Turn turn = bench.life->keeper.begin();
    turn.next.interlays.clear();
  }
  CHECK(bench.life->keeper.state()->interlays.size() == 1);
  CHECK(bench.life->keeper.begin().next.interlays.size() == 1);
}

TEST_CASE("keeper: routes that did not change are the same object in the next table") {
  Bench bench;
  bench.add_sides();
  bench.told.up[3] = ToldServers::healthy();
  bench.add_endpoint("third", 3);
  bench.add_interlay("other", "third", 7002);
  const auto find_route = [&](const std::string& id) {
    for (const InterlayRoutePtr& route : bench.plane.table->interlays) {
      if (route->id == id) return route;
    }
    return InterlayRoutePtr();
  };
  const InterlayRoutePtr cache = find_route("cache");
  const InterlayRoutePtr other = find_route("other");
  bench.add_running("m", kCanary);
  CHECK(find_route("other") == other);
  CHECK(find_route("cache") != cache);
}

TEST_CASE(
    "keeper: what changed the store behind our back is not overwritten, and nothing is changed") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  Store& store = *bench.life->store;
  const StatePtr shown = bench.life->keeper.state();
  const std::size_t handed = bench.plane.epochs.size();
  REQUIRE(store.apply({}, store.read()->revision).ok());
  const auto before = durable(store);
  for (int i = 0; i < 2; ++i) {
    const Answer answer = bench.life->conductor.migrate("m", bench.call);
    CHECK(said(answer).find("503 Unavailable: the store was changed behind our back: ") == 0);
    CHECK(said(answer).find("; nothing was changed") != std::string::npos);
  }
  CHECK(durable(store) == before);
  CHECK(bench.life->keeper.state() == shown);
  CHECK(bench.plane.epochs.size() == handed);
  CHECK(bench.status("m") == "ready");
  bench.restart();
  must(bench.life->conductor.migrate("m", bench.call));
}

TEST_CASE("keeper: what a failing disk may have kept is not called unchanged, and not in force") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green"})");
  syncs_to_fail = 1'000;
  const std::string answer = said(bench.patch_strategy("m", R"({"active_is_new":true})"));
  const std::string next = said(bench.patch_strategy("m", R"({"active_is_new":true})"));
  syncs_to_fail = 0;
  CHECK(answer.find("503 Unavailable: write the state file: ") == 0);
  CHECK(answer.find("; it may be whole in the file all the same") != std::string::npos);
  CHECK(answer.find("nothing was changed") == std::string::npos);
  CHECK(next.find("nothing was changed") != std::string::npos);  // it was not begun
  const auto active = [&] { return home(*bench.plane.route("cache").strategy); };
  CHECK(active() == Side::Old);
  must(bench.patch_strategy("m", R"({"active_is_new":true})"));
  CHECK(active() == Side::New);
}

}  // namespace crossfade
