// Interlays: definition, route and open port agree, or the call has changed nothing.
#include <sqlite3.h>

#include "../bench.h"

namespace crossfade {

namespace {

Answer create_interlay(Bench& bench, const std::string& body) {
  return bench.life->interlays.create(json(body), bench.call);
}

Answer patch(Bench& bench, const std::string& body) {
  return bench.life->interlays.patch("cache", json(body), bench.call);
}

using Ports = std::map<std::string, std::uint16_t>;

// While this lives, whoever writes to the file fails.
class StuckFile {
 public:
  explicit StuckFile(const std::string& path) {
    REQUIRE(sqlite3_open(path.c_str(), &connection_) == SQLITE_OK);
    REQUIRE(sqlite3_exec(connection_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  }
  ~StuckFile() { sqlite3_close(connection_); }
  StuckFile(const StuckFile&) = delete;
  StuckFile& operator=(const StuckFile&) = delete;

 private:
  sqlite3* connection_ = nullptr;
};

}  // namespace

TEST_CASE("interlays: one that is created listens, and port 0 says which was chosen") {
  Bench bench;
  bench.add_endpoint("old", 1);
  const Answer created =
      create_interlay(bench, R"({"id":"i","endpoint":"old","port":0,"tls":null})");
  const Json& data = must(created).data;
  CHECK(must(created).status == 201);
  for (const char* name : {"id", "uuid", "endpoint", "port", "bind", "tls", "settings", "running",
                           "migration", "created_at", "updated_at", "epoch"}) {
    CAPTURE(name);
    CHECK(data.find(name) != nullptr);
  }
  CHECK(text_of(data, "endpoint") == "old");
  CHECK(*data.find("port") == Json(bench.plane.open.at("i")));
  const auto chosen = bench.plane.open.at("i");
  bench.restart();  // clients know the port: it stays
  CHECK(bench.plane.open.at("i") == chosen);
}

TEST_CASE("interlays: a port that can not be opened leaves nothing behind") {
  Bench bench;
  bench.add_sides();
  bench.plane.ports_in_use = {7009};
  CHECK(said(create_interlay(bench, R"({"id":"i","endpoint":"old","port":7009})")) ==
        "409 Migration error: open port 7009 on 127.0.0.1: address in use");
  CHECK(said(create_interlay(bench, R"({"id":"i","endpoint":"old","port":7001})")) ==
        "409 Migration error: port 7001 on 127.0.0.1 is that of interlay 'cache'");
  CHECK(bench.life->keeper.state()->interlays.size() == 1);
  CHECK(bench.plane.table->interlays.size() == 1);
  CHECK(bench.plane.open == Ports{{"cache", 7001}});
  bench.restart();
  CHECK(bench.plane.open == Ports{{"cache", 7001}});
}

TEST_CASE("interlays: a table that is not confirmed opens no port") {
  Bench bench;
  bench.add_endpoint("old", 1);
  bench.plane.publishes_to_fail = 1;
  CHECK(said(create_interlay(bench, R"({"id":"i","endpoint":"old","port":7001})")).find("503") ==
        0);
  CHECK(bench.plane.open.empty());
  CHECK(bench.life->keeper.state()->interlays.empty());
}

TEST_CASE("interlays: when nothing can be written, ports, routes and answers stay as they were") {
  Bench bench;
  bench.add_sides();
  const std::string before = to_text(must(bench.life->interlays.get("cache")).data);
  {
    const StuckFile stuck(bench.path());
    CHECK(said(create_interlay(bench, R"({"id":"i","endpoint":"old","port":7002})")).find("503") ==
          0);
    CHECK(said(patch(bench, R"({"port":7005,"settings":{"pipeline_max":5}})")).find("503") == 0);
    CHECK(said(bench.life->interlays.remove("cache", bench.call)).find("503") == 0);
    CHECK(said(bench.life->interlays.stop("cache", bench.call)).find("503") == 0);
  }
  CHECK(bench.plane.open == Ports{{"cache", 7001}});
  CHECK(bench.plane.table->interlays.size() == 1);
  CHECK(bench.plane.route("cache").settings == InterlaySettings{});
  CHECK(to_text(must(bench.life->interlays.get("cache")).data) == before);
  must(create_interlay(bench, R"({"id":"i","endpoint":"old","port":7002})"));
}

TEST_CASE("interlays: what is missing or twice is refused") {
  Bench bench;
  bench.add_sides();
  CHECK(said(create_interlay(bench, R"({"id":"i","endpoint":"nope","port":0})")) ==
        "404 Not found: Endpoint 'nope' does not exist");
  CHECK(said(create_interlay(bench, R"({"id":"cache","endpoint":"old","port":0})")) ==
        "409 Migration error: Interlay 'cache' already exists");
  CHECK(said(bench.life->interlays.get("nope")) == "404 Not found: Interlay 'nope' does not exist");
}

TEST_CASE("interlays: one never stands before itself") {
  Bench bench;
  Call unchecked = bench.call;
  unchecked.check = false;
  must(bench.life->endpoints.create(
      json(R"({"id":"self","kind":"redis","config":{"host":"localhost","port":7001}})"),
      unchecked));
  CHECK(said(create_interlay(bench, R"({"id":"i","endpoint":"self","port":7001})")) ==
        "400 Bad Request: port: endpoint 'self' is that very address");
  must(create_interlay(bench, R"({"id":"i","endpoint":"self","port":7002})"));
  CHECK(said(bench.life->interlays.patch("i", json(R"({"port":7001})"), bench.call)).find("400") ==
        0);
}

TEST_CASE("interlays: one never stands before itself through others") {
  Bench bench;
  bench.add_sides();  // cache, port 7001
  Call unchecked = bench.call;
  unchecked.check = false;
  const auto endpoint = [&](const std::string& id, int port) {
    must(bench.life->endpoints.create(
        json(R"({"id":")" + id + R"(","kind":"redis","config":{"host":"127.0.0.1","port":)" +
             std::to_string(port) + "}}"),
        unchecked));
  };
  endpoint("first", 7001);
  endpoint("second", 7002);
  endpoint("third", 7003);
  must(create_interlay(bench, R"({"id":"i","endpoint":"first","port":7002})"));
  must(create_interlay(bench, R"({"id":"j","endpoint":"second","port":7003})"));
  CHECK(said(patch(bench, R"({"endpoint":"second"})")) ==
        "400 Bad Request: port: endpoint 'second' leads back to it, through endpoint 'first'");
  CHECK(said(patch(bench, R"({"endpoint":"third"})")).find("400") == 0);
  // Nor by a migration, nor when an endpoint moves.
  must(bench.life->migrations.create(json(R"({"id":"m","strategy":{"type":"big_bang"}})"),
                                     bench.call));
  CHECK(said(bench.life->migrations.add_interlay("m", "cache", json(R"({"endpoint":"third"})"),
                                                 bench.call))
            .find("would stand before itself") != std::string::npos);
  CHECK(said(bench.life->endpoints.patch(
                 "old", json(R"({"config":{"host":"127.0.0.1","port":7003}})"), unchecked))
            .find("would stand before itself") != std::string::npos);
}

TEST_CASE("interlays: settings are hot, a port restarts the listener") {
  Bench bench;
  bench.add_sides();
  must(patch(bench, R"({"settings":{"pipeline_max":5}})"));
  CHECK(bench.plane.route("cache").settings.pipeline_max == 5);
  const Answer moved = patch(bench, R"({"port":7005,"settings":{"clients_max":6}})");
  CHECK(*must(moved).data.find("port") == Json(std::uint16_t{7005}));
  CHECK(bench.plane.open == Ports{{"cache", 7005}});
  CHECK(bench.plane.route("cache").settings.pipeline_max == 5);
  CHECK(bench.plane.route("cache").settings.clients_max == 6);
  bench.restart();
  CHECK(bench.plane.open == Ports{{"cache", 7005}});
  CHECK(bench.plane.route("cache").settings.clients_max == 6);
}

TEST_CASE("interlays: a move that fails ends where it began") {
  Bench bench;
  bench.add_sides();
  bench.plane.ports_in_use = {7009};
  CHECK(said(patch(bench, R"({"port":7009,"settings":{"pipeline_max":5}})")).find("409") == 0);
  CHECK(bench.plane.open == Ports{{"cache", 7001}});
  CHECK(bench.plane.route("cache").settings.pipeline_max == InterlaySettings{}.pipeline_max);
  // The table of the new settings is not confirmed: the port goes back as well.
  bench.plane.publishes_to_fail = 1;
  CHECK(said(patch(bench, R"({"port":7005,"settings":{"pipeline_max":5}})")).find("503") == 0);
  CHECK(bench.plane.open == Ports{{"cache", 7001}});
  CHECK(*must(bench.life->interlays.get("cache")).data.find("port") == Json(std::uint16_t{7001}));
}

TEST_CASE("interlays: stop closes the port, also over a restart; start opens it again") {
  Bench bench;
  bench.add_sides();
  must(bench.life->interlays.stop("cache", bench.call));
  CHECK(bench.plane.open.empty());
  must(bench.life->interlays.stop("cache", bench.call));  // twice is once
  bench.restart();
  CHECK(bench.plane.open.empty());
  const Answer started = bench.life->interlays.start("cache", bench.call);
  CHECK(*must(started).data.find("running") == Json(true));
  CHECK(bench.plane.open == Ports{{"cache", 7001}});
}

TEST_CASE("interlays: a stopped one can be given another port without opening it") {
  Bench bench;
  bench.add_sides();
  must(bench.life->interlays.stop("cache", bench.call));
  must(patch(bench, R"({"port":7005})"));
  CHECK(bench.plane.open.empty());
  must(bench.life->interlays.start("cache", bench.call));
  CHECK(bench.plane.open == Ports{{"cache", 7005}});
}

TEST_CASE(
    "interlays: deleting one closes its port and takes its route away; a migration's is kept") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  CHECK(said(bench.life->interlays.remove("cache", bench.call)) ==
        "409 Migration error: Interlay 'cache' belongs to migration 'm': delete that one first");
  must(bench.life->migrations.remove("m", bench.call));
  const Answer gone = bench.life->interlays.remove("cache", bench.call);
  CHECK(*must(gone).data.find("epoch") == Json(bench.life->keeper.epoch()));
  CHECK(bench.life->keeper.epoch() == bench.plane.epochs.back());
  CHECK(bench.plane.open.empty());
  CHECK(bench.plane.table->interlays.empty());
  bench.restart();
  CHECK(bench.plane.open.empty());
}

TEST_CASE("interlays: the endpoint can not be changed under a migration that decides about it") {
  Bench bench;
  bench.add_sides();
  must(bench.life->endpoints.create(
      json(R"({"id":"third","kind":"redis","config":{"host":"10.0.0.1","port":2,"db":7}})"),
      bench.call));
  bench.add_ready("m", kCanary);
  CHECK(said(patch(bench, R"({"endpoint":"new"})")).find("409") == 0);
  must(patch(bench, R"({"endpoint":"third"})"));
  must(patch(bench, R"({"endpoint":"old"})"));
  must(bench.life->conductor.migrate("m", bench.call));
  for (const char* id : {"new", "third"}) {
    CHECK(said(patch(bench, std::string(R"({"endpoint":")") + id + R"("})")).find("409") == 0);
  }
}

TEST_CASE(
    "interlays: a completed migration is settled by naming its new side, then has no way back") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", "null");
  must(patch(bench, R"({"endpoint":"new"})"));
  CHECK(bench.plane.route("cache").old_side.port == 2);
  CHECK(said(bench.life->conductor.rollback("m", bench.call)).find("there is no way back") !=
        std::string::npos);
  must(bench.life->migrations.remove("m", bench.call));
  CHECK(bench.plane.route("cache").old_side.port == 2);
}

TEST_CASE(
    "interlays: classified by the commands of the old server, or the built-in ones while it is "
    "silent") {
  Bench bench;
  auto taught = std::make_shared<redis::CommandTable>(
      std::vector<redis::CommandSpec>{{.name = "module.get",
                                       .kind = Kind::Read,
                                       .effect = redis::Effect::None,
                                       .blocks = false,
                                       .cursor = false,
                                       .sided = false,
                                       .nondeterministic = false,
                                       .keys = {},
                                       .has_subcommands = false}});
  bench.told.up[1].commands = taught;
  bench.add_sides();
  CHECK(bench.plane.route("cache").commands == taught);
  const RedisProbe probe = bench.told.up[1];
  bench.told.up.erase(1);
  bench.restart();
  CHECK(bench.plane.route("cache").commands == redis::CommandTable::built_in());
  bench.told.up[1] = probe;
  learn_from_servers(*bench.life->keeper.state(), bench.life->servers);
  Keeper::Turn turn = bench.life->keeper.begin();
  REQUIRE(bench.life->keeper.commit(turn).ok());
  CHECK(bench.plane.route("cache").commands == taught);
  const int asked = bench.told.asked;
  learn_from_servers(*bench.life->keeper.state(), bench.life->servers);
  CHECK(bench.told.asked == asked);  // who has told is not asked again
}

}  // namespace crossfade
