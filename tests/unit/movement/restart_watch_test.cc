// A restart is told of, whatever else happens to the connection is not, and nothing is asked
// meanwhile.
#include "movement/restart_watch.h"

#include <doctest/doctest.h>
#include <poll.h>

#include <mutex>
#include <vector>

#include "sides.h"

namespace crossfade {

namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// What the watch was told to watch, and told.
class Watched {
 public:
  explicit Watched(EndpointAddress address) : address_(std::move(address)) {}

  WatchDoors doors() {
    return {.servers =
                [this] {
                  const std::lock_guard lock(mutex_);
                  ++looks_;
                  return std::vector<WatchedServer>{{"m", Side::New, address_}};
                },
            .saw =
                [this](const WatchedServer&, const ServerSight& sight) {
                  const std::lock_guard lock(mutex_);
                  seen_.push_back(sight.run_id);
                  evicted_ = sight.evicted_keys;
                  takeovers_ = sight.takeovers;
                }};
  }

  // Polls: true when it came about within the limit.
  bool comes(const std::function<bool(const std::vector<std::string>& seen, int looks)>& about) {
    const auto limit = steady_clock::now() + milliseconds(kTestLimit_ms);
    while (steady_clock::now() < limit) {
      {
        const std::lock_guard lock(mutex_);
        if (about(seen_, looks_)) return true;
      }
      poll(nullptr, 0, 2);
    }
    return false;
  }

  std::optional<std::uint64_t> evicted() {
    const std::lock_guard lock(mutex_);
    return evicted_;
  }

  std::uint32_t takeovers() {
    const std::lock_guard lock(mutex_);
    return takeovers_;
  }

  int looks() {
    const std::lock_guard lock(mutex_);
    return looks_;
  }

 private:
  EndpointAddress address_;
  std::mutex mutex_;
  std::vector<std::string> seen_;
  std::optional<std::uint64_t> evicted_;
  std::uint32_t takeovers_ = 0;
  int looks_ = 0;
};

EndpointAddress address_of(const RedisServer& server) {
  return {.id = "new",
          .host = "127.0.0.1",
          .port = server.port(),
          .db = 0,
          .username = {},
          .password = {}};
}

// Ends every connection but its own.
void cut_all(const RedisServer& server) {
  auto other = RedisConnection::open(address_of(server), 1'000);
  REQUIRE(other);
  (void)other->call({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
}

}  // namespace

TEST_CASE(
    "restart watch: a server that starts again has another run id, a cut connection has not") {
  RedisServer server;
  Watched watched(address_of(server));
  RestartWatch watch(watched.doors(), {.look_ms = 5, .pause_first_ms = 5});
  watch.start();
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 1; }));
  cut_all(server);
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 2; }));
  server.begin_anew();
  CHECK(watched.comes([](const auto& seen, int) {
    return seen.size() == 3 && seen[1] == seen[0] && seen[2] != seen[0];
  }));
}

TEST_CASE("restart watch: while nothing happens, nothing is asked") {
  RedisServer server;
  Watched watched(address_of(server));
  RestartWatch watch(watched.doors(), {.look_ms = 1, .evictions_ms = 3'600'000});
  watch.start();
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 1; }));
  const int before = watched.looks();
  REQUIRE(watched.comes([&](const auto&, int looks) { return looks > before + 20; }));
  auto other = RedisConnection::open(address_of(server), 1'000);
  REQUIRE(other);
  const auto stats = other->call({"INFO", "commandstats"});
  REQUIRE(stats);
  CHECK(stats->text.find("cmdstat_info:calls=3,") != std::string::npos);
}

TEST_CASE("restart watch: what a server evicts is told of, and while it evicts nothing, nothing") {
  RedisServer server({"--maxmemory-policy", "allkeys-random"});
  Watched watched(address_of(server));
  RestartWatch watch(watched.doors(), {.look_ms = 1, .evictions_ms = 5});
  watch.start();
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 1; }));
  CHECK(watched.evicted() == 0);
  const int before = watched.looks();
  CHECK(watched.comes([&](const auto& seen, int looks) {
    REQUIRE(seen.size() == 1);
    return looks > before + 30;
  }));
  auto other = RedisConnection::open(address_of(server), 1'000);
  REQUIRE(other);
  const std::string value(100'000, 'v');
  for (const char* key : {"a", "b", "c", "d"}) REQUIRE(other->call({"SET", key, value}));
  REQUIRE(other->call({"CONFIG", "SET", "maxmemory", "1"}));
  CHECK(watched.comes([](const auto& seen, int) { return seen.size() >= 2; }));
  CHECK(watched.evicted() > 0);
}

TEST_CASE("restart watch: a server that stands still holds up no look, and is not another one") {
  RedisServer server;
  Watched watched(address_of(server));
  RestartWatch watch(watched.doors(), {.look_ms = 1, .evictions_ms = 5});
  watch.start();
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 1; }));
  server.freeze();
  const int before = watched.looks();
  const auto began = steady_clock::now();
  CHECK(watched.comes([&](const auto&, int looks) { return looks > before + 100; }));
  CHECK(steady_clock::now() - began < std::chrono::seconds(20));  // 100 of 1 s, if each waited
  server.thaw();
  const int thawed = watched.looks();
  CHECK(watched.comes([&](const auto& seen, int looks) {
    REQUIRE(seen.size() == 1);
    return looks > thawed + 30;
  }));
}

TEST_CASE(
    "restart watch: who is refused an answer that it had before takes nobody for another one") {
  RedisServer server;
  Watched watched(address_of(server));
  RestartWatch watch(watched.doors(), {.look_ms = 1, .pause_first_ms = 1, .pause_most_ms = 5});
  watch.start();
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 1; }));
  auto other = RedisConnection::open(address_of(server), 1'000);
  REQUIRE(other);
  REQUIRE(other->call({"CONFIG", "SET", "requirepass", "x"}));
  REQUIRE(other->call({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}));
  const int before = watched.looks();
  CHECK(watched.comes([&](const auto& seen, int looks) {
    REQUIRE(seen.size() == 1);
    return looks > before + 30;
  }));
  REQUIRE(other->call({"CONFIG", "SET", "requirepass", ""}));
  CHECK(
      watched.comes([](const auto& seen, int) { return seen.size() == 2 && seen[1] == seen[0]; }));
}

TEST_CASE(
    "restart watch: a server that takes another's data is told of, one that is promoted is not") {
  RedisServer server;
  RedisServer master;
  Watched watched(address_of(server));
  RestartWatch watch(watched.doors(), {.look_ms = 1, .evictions_ms = 5});
  watch.start();
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 1; }));
  CHECK(watched.takeovers() == 0);
  auto other = RedisConnection::open(address_of(server), 1'000);
  REQUIRE(other);
  REQUIRE(other->call({"REPLICAOF", "127.0.0.1", std::to_string(master.port())}));
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 2; }));
  CHECK(watched.takeovers() == 1);
  REQUIRE(other->call({"REPLICAOF", "NO", "ONE"}));
  const int before = watched.looks();
  CHECK(watched.comes([&](const auto& seen, int looks) {
    REQUIRE(seen.size() == 2);
    return looks > before + 50;
  }));
}

TEST_CASE("lineage: only who goes on from another server's data has taken it over") {
  const std::string none(40, '0');
  const Lineage master{.id = "a", .former_id = none};
  CHECK(lineage_in("# Replication\r\nrole:slave\r\nmaster_replid:a\r\nmaster_replid2:b\r\n") ==
        Lineage{.id = "a", .former_id = "b", .replica = true});
  CHECK_FALSE(took_over({}, master));
  CHECK_FALSE(took_over(master, {}));
  CHECK_FALSE(took_over(master, master));
  // Told to be a replica, and not in step yet.
  CHECK_FALSE(took_over(master, {.id = "a", .former_id = none, .replica = true}));
  CHECK(took_over(master, {.id = "b", .former_id = none, .replica = true}));
  CHECK(took_over(master, {.id = "c", .former_id = "b"}));  // and promoted between two looks
  CHECK_FALSE(took_over(master, {.id = "b", .former_id = "a"}));
  CHECK_FALSE(took_over(master, {.id = "b", .former_id = "a", .replica = true}));
  CHECK_FALSE(took_over(master, {.id = "b", .former_id = none}));  // repl-backlog-ttl
}

TEST_CASE("restart watch: a server that does not tell its run id is another one each time") {
  RedisServer server({"--rename-command", "INFO", ""});
  Watched watched(address_of(server));
  RestartWatch watch(watched.doors(), {.look_ms = 5, .pause_first_ms = 5});
  watch.start();
  REQUIRE(watched.comes([](const auto& seen, int) { return seen.size() == 1; }));
  cut_all(server);
  CHECK(
      watched.comes([](const auto& seen, int) { return seen.size() == 2 && seen[1] != seen[0]; }));
}

}  // namespace crossfade
