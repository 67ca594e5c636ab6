// Replies that differ come to the class that real servers say, and nothing is lost on the way.
#include "movement/compare_worker.h"

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "movement/redis_connection.h"
#include "server.h"

namespace crossfade {

namespace {

constexpr std::chrono::seconds kLong{60};  // the machine may be busy

EndpointAddress address_of(const char* id, std::uint16_t port) {
  EndpointAddress address;
  address.id = id;
  address.host = "127.0.0.1";
  address.port = port;
  return address;
}

CompareSettings fast() {
  CompareSettings settings;
  settings.compare_pause_ms = 1;
  settings.compare_timeout_ms = kLimit_ms;
  settings.redact_values = false;
  return settings;
}

using Words = std::vector<std::string_view>;

std::string request_of(const Words& words) {
  std::string request = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string_view word : words) {
    request += "$" + std::to_string(word.size()) + "\r\n" + std::string(word) + "\r\n";
  }
  return request;
}

InterlayRoutePtr route_between(std::uint16_t old_port, std::uint16_t new_port) {
  auto route = std::make_shared<InterlayRoute>();
  route->id = "cache";
  route->migration = "m1";
  route->old_side = address_of("old", old_port);
  route->new_side = address_of("new", new_port);
  return route;
}

// Two servers and a route between them.
class Pair {
 public:
  void run(Side side, const std::vector<Words>& calls) {
    for (const Words& call : calls) {
      auto reply = connection(side).call(call);
      REQUIRE(reply.ok());
      REQUIRE_MESSAGE(!reply->is_error(), reply->text);
    }
  }
  void run_on_both(const std::vector<Words>& calls) {
    run(Side::Old, calls);
    run(Side::New, calls);
  }

  InterlayRoutePtr route() const { return route_; }

  // What both sides answer to that request now.
  Mismatch asked(const Words& words, std::vector<std::string> keys) {
    Mismatch mismatch;
    mismatch.route = route_;
    mismatch.read = true;
    mismatch.command = words[0];
    mismatch.request = request_of(words);
    mismatch.keys = std::move(keys);
    mismatch.old_reply = answer(Side::Old, mismatch.request);
    mismatch.new_reply = answer(Side::New, mismatch.request);
    return mismatch;
  }

 private:
  RedisConnection& connection(Side side) { return connections_[static_cast<std::size_t>(side)]; }
  std::string answer(Side side, const std::string& request) {
    auto reply = connection(side).call_raw(request, 1 << 20);
    REQUIRE(reply.ok());
    return *reply;
  }
  static RedisConnection open(const RedisServer& server) {
    auto opened = RedisConnection::open(address_of("server", server.port()), kLimit_ms);
    REQUIRE(opened.ok());
    return std::move(opened.value());
  }

  RedisServer old_server_;
  RedisServer new_server_;
  InterlayRoutePtr route_ = route_between(old_server_.port(), new_server_.port());
  std::vector<RedisConnection> connections_ = [this] {
    std::vector<RedisConnection> both;
    both.push_back(open(old_server_));
    both.push_back(open(new_server_));
    return both;
  }();
};

Mismatch write_of(const InterlayRoutePtr& route, std::vector<std::string> keys) {
  Mismatch mismatch;
  mismatch.route = route;
  mismatch.sort = Second::Write;
  mismatch.command = "incr";
  mismatch.keys = std::move(keys);
  mismatch.old_reply = ":1\r\n";
  mismatch.new_reply = ":2\r\n";
  return mismatch;
}

// The class that a worker of its own finds.
MismatchClass class_of(Mismatch mismatch, const CompareSettings& settings = fast()) {
  const std::string interlay = mismatch.route->id;
  const std::size_t sort = sort_index(mismatch.sort);
  CompareWorker worker(settings);
  worker.start();
  worker.offer(std::move(mismatch));
  REQUIRE(worker.wait_settled(kLong));
  const MismatchCounts counts = worker.counts(interlay);
  const auto& classes = counts.classes[sort];
  CHECK(counts.dropped == 0);
  CHECK(std::accumulate(classes.begin(), classes.end(), std::uint64_t{0}) == 1);
  const auto found = std::find(classes.begin(), classes.end(), 1);
  REQUIRE(found != classes.end());
  return static_cast<MismatchClass>(found - classes.begin());
}

}  // namespace

TEST_CASE("compare: other bytes of the same meaning ask nobody") {
  const InterlayRoutePtr nowhere = route_between(1, 1);
  Mismatch mismatch;
  mismatch.route = nowhere;
  mismatch.read = true;
  mismatch.command = "smembers";
  mismatch.old_reply = "*2\r\n+a\r\n+b\r\n";
  mismatch.new_reply = "*2\r\n+b\r\n+a\r\n";
  CHECK(class_of(mismatch) == MismatchClass::Same);
  mismatch.command = "pttl";
  mismatch.old_reply = ":1000\r\n";
  mismatch.new_reply = ":990\r\n";
  CHECK(class_of(mismatch) == MismatchClass::Tolerable);
  mismatch.command = "srandmember";
  CHECK(class_of(mismatch) == MismatchClass::Chance);
  mismatch.command = "module.dice";
  mismatch.chance = true;
  CHECK(class_of(mismatch) == MismatchClass::Chance);
}

TEST_CASE("compare: a read that differs again is real, one that does not was a race") {
  Pair pair;
  pair.run(Side::Old, {{"SET", "a", "1"}, {"RPUSH", "l", "1"}});
  pair.run(Side::New, {{"SET", "a", "2"}, {"RPUSH", "l", "1"}});
  const Mismatch differs = pair.asked({"GET", "a"}, {"a"});
  CHECK(class_of(differs) == MismatchClass::Real);
  Mismatch raced = pair.asked({"LRANGE", "l", "0", "-1"}, {"l"});
  raced.new_reply = "*0\r\n";
  CHECK(class_of(raced) == MismatchClass::Race);
  pair.run(Side::New, {{"SET", "a", "1"}});
  CHECK(class_of(differs) == MismatchClass::Race);
}

TEST_CASE("compare: it is asked again as it was, in its database") {
  Pair pair;
  pair.run(Side::Old, {{"SELECT", "3"}, {"SET", "a", "1"}, {"SELECT", "0"}, {"SET", "a", "x"}});
  pair.run(Side::New, {{"SELECT", "3"}, {"SET", "a", "1"}, {"SELECT", "0"}, {"SET", "a", "y"}});
  Mismatch mismatch = pair.asked({"GET", "a"}, {"a"});
  CHECK(class_of(mismatch) == MismatchClass::Real);
  mismatch.db = 3;
  CHECK(class_of(mismatch) == MismatchClass::Race);
  mismatch.db = 99;  // not there
  CHECK(class_of(mismatch) == MismatchClass::Unsure);
  mismatch.db = 3;
  mismatch.request = "get a\r\n";
  CHECK(class_of(mismatch) == MismatchClass::Race);
  mismatch.request.clear();  // was too long to be kept
  CHECK(class_of(mismatch) == MismatchClass::Unsure);
}

TEST_CASE("compare: a connection goes from one database to another and back") {
  Pair pair;
  pair.run(Side::Old, {{"SET", "a", "1"}});
  Mismatch mismatch = pair.asked({"GET", "a"}, {"a"});
  CompareWorker worker(fast());
  worker.start();
  for (const std::int32_t db : {kDefaultDb, 5, 0, 5, kDefaultDb}) {
    mismatch.db = db;
    worker.offer(mismatch);
  }
  REQUIRE(worker.wait_settled(kLong));
  const auto classes = worker.counts("cache").classes[0];
  CHECK(classes[static_cast<std::size_t>(MismatchClass::Real)] == 3);
  CHECK(classes[static_cast<std::size_t>(MismatchClass::Race)] == 2);
}

TEST_CASE("compare: a reply too long to be kept is judged by asking again, up to a bound") {
  Pair pair;
  std::string members(100'000, 'm');
  pair.run_on_both({{"SADD", "s", members, "a", "b", "c"}});
  Mismatch mismatch = pair.asked({"SMEMBERS", "s"}, {"s"});
  mismatch.old_reply.resize(16'384);
  mismatch.new_reply.resize(16'384);
  mismatch.truncated = true;
  CHECK(class_of(mismatch) == MismatchClass::Race);
  CompareSettings narrow = fast();
  narrow.compare_again_max = 50'000;
  CHECK(class_of(mismatch, narrow) == MismatchClass::Unsure);
}

TEST_CASE("compare: a server that cannot be asked makes nothing real") {
  Pair pair;
  pair.run(Side::Old, {{"SET", "a", "1"}});
  Mismatch mismatch = pair.asked({"GET", "a"}, {"a"});
  const EndpointAddress& old_side = pair.route()->old_side;
  mismatch.route = route_between(old_side.port, SilentPort().port());
  CHECK(class_of(mismatch) == MismatchClass::Unsure);
  SilentPort silent;
  CompareSettings impatient = fast();
  impatient.compare_timeout_ms = 50;
  mismatch.route = route_between(old_side.port, silent.port());
  CHECK(class_of(mismatch, impatient) == MismatchClass::Unsure);
  auto alone = std::make_shared<InterlayRoute>(*pair.route());
  alone->new_side.reset();
  mismatch.route = alone;
  CHECK(class_of(mismatch) == MismatchClass::Unsure);
}

TEST_CASE("compare: a server that lets the sidecar not ask makes nothing real") {
  Pair pair;
  RedisServer closed({"--requirepass", "x"});
  pair.run(Side::Old, {{"SET", "a", "1"}});
  Mismatch mismatch = pair.asked({"GET", "a"}, {"a"});
  mismatch.route = route_between(pair.route()->old_side.port, closed.port());
  CHECK(class_of(mismatch) == MismatchClass::Unsure);
  CHECK(class_of(write_of(mismatch.route, {"a"})) == MismatchClass::Unsure);
  mismatch.route = route_between(closed.port(), closed.port());
  CHECK(class_of(mismatch) == MismatchClass::Unsure);
}

TEST_CASE("compare: a connection that the server closed is made again") {
  Pair pair;
  pair.run(Side::Old, {{"SET", "a", "1"}});
  const Mismatch mismatch = pair.asked({"GET", "a"}, {"a"});
  CompareWorker worker(fast());
  worker.start();
  worker.offer(mismatch);
  REQUIRE(worker.wait_settled(kLong));
  pair.run_on_both({{"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"}});
  worker.offer(mismatch);
  REQUIRE(worker.wait_settled(kLong));
  CHECK(worker.counts("cache").classes[0][static_cast<std::size_t>(MismatchClass::Real)] == 2);
}

TEST_CASE("compare: a write is never sent again, its keys are read") {
  Pair pair;
  pair.run_on_both({
      {"SET", "n", "5"},
      {"RPUSH", "list", "a", "b"},
      {"SADD", "set", "a", "b", "c", "d"},
      {"HSET", "hash", "a", "1", "b", "2"},
      {"ZADD", "zset", "1.5", "a", "2", "b"},
      {"XADD", "stream", "1-1", "f", "v"},
      {"SET", "expiring", "1", "EX", "1000"},
  });
  // The same set in another encoding.
  pair.run(Side::New, {{"CONFIG", "SET", "hash-max-listpack-entries", "1"},
                       {"SADD", "set", "e"},
                       {"SREM", "set", "e"},
                       {"HSET", "hash", "c", "3"},
                       {"HDEL", "hash", "c"}});
  Mismatch same =
      write_of(pair.route(), {"n", "list", "set", "hash", "zset", "stream", "expiring", "nobody"});
  same.request = request_of({"INCR", "n"});
  CHECK(class_of(same) == MismatchClass::Race);
  CHECK(pair.asked({"GET", "n"}, {}).old_reply == "$1\r\n5\r\n");

  for (const auto& change : std::vector<std::vector<Words>>{
           {{"SET", "n", "6"}},
           {{"RPUSH", "list", "c"}},
           {{"SREM", "set", "a"}, {"SADD", "set", "z"}},
           {{"HSET", "hash", "a", "2"}},
           {{"ZADD", "zset", "3", "a"}},
           {{"XADD", "stream", "1-2", "f", "v"}},
           {{"PERSIST", "expiring"}},
           {{"DEL", "n"}},
           {{"DEL", "n"}, {"RPUSH", "n", "5"}},
       }) {
    pair.run(Side::New, change);
    const std::string key(change.back()[1]);
    CHECK_MESSAGE(class_of(write_of(pair.route(), {"nobody", key})) == MismatchClass::Real, key);
  }
  CHECK(class_of(write_of(pair.route(), {})) == MismatchClass::Unsure);
  CHECK(class_of(write_of(pair.route(), std::vector<std::string>(17, "n"))) ==
        MismatchClass::Unsure);
}

TEST_CASE("compare: big values are compared by their lengths, and said to be unsure") {
  Pair pair;
  pair.run_on_both({{"SETRANGE", "big", "600000", "x"}});
  CHECK(class_of(write_of(pair.route(), {"big"})) == MismatchClass::Unsure);
  pair.run(Side::New, {{"APPEND", "big", "x"}});
  CHECK(class_of(write_of(pair.route(), {"big"})) == MismatchClass::Real);
}

TEST_CASE("compare: what finds no room is counted, and everything offered is accounted for") {
  CompareSettings small = fast();
  small.compare_queue_max = 10;
  small.compare_pause_ms = 3'600'000;
  CompareWorker worker(small);
  const InterlayRoutePtr nowhere = route_between(1, 1);
  for (int i = 0; i < 8; ++i) worker.offer(write_of(nowhere, {"k"}));
  worker.start();
  for (int i = 0; i < 20; ++i) worker.offer(write_of(nowhere, {"k"}));
  CHECK_FALSE(worker.wait_settled(std::chrono::milliseconds(0)));
  CHECK(worker.counts("cache").dropped == 18);
  worker.stop();
  worker.offer(write_of(nowhere, {"k"}));
  const MismatchCounts counts = worker.counts("cache");
  CHECK(counts.dropped == 19);
  CHECK(counts.classes[1][static_cast<std::size_t>(MismatchClass::Unsure)] == 10);
  CHECK(worker.counts("another") == MismatchCounts{});
  CHECK(worker.samples("m1").size() == 10);
}

TEST_CASE("compare: samples tell what was seen first, and the doors lead to the worker") {
  Pair pair;
  pair.run(Side::Old, {{"SET", "a", "1"}});
  CompareWorker worker(fast());
  worker.start();
  const CompareDoor door = worker.door();
  const MismatchDoor results = worker.results();
  door.offer(pair.asked({"GET", "a"}, {"a"}));
  Mismatch same = pair.asked({"GET", "a"}, {"a"});
  same.new_reply = "+1\r\n";
  door.offer(same);
  REQUIRE(worker.wait_settled(kLong));
  const auto samples = results.samples("m1");
  REQUIRE(samples.size() == 1);  // what means the same is none
  CHECK(samples[0].what == MismatchClass::Real);
  CHECK(samples[0].keys == std::vector<std::string>{"a"});
  CHECK(samples[0].old_reply == "$1\\r\\n1\\r\\n");
  CHECK(samples[0].new_reply == "$-1\\r\\n");
  CHECK(samples[0].at > 1'600'000'000);
  CHECK(results.samples("m2").empty());
  CHECK(results.counts("cache").classes[0][static_cast<std::size_t>(MismatchClass::Same)] == 1);
}

TEST_CASE("compare: many threads may offer while it works, and it stops in the midst") {
  CompareSettings settings = fast();
  settings.compare_queue_max = 50;
  CompareWorker worker(settings);
  worker.start();
  std::vector<std::future<void>> offering;
  for (int thread = 0; thread < 4; ++thread) {
    offering.push_back(std::async(std::launch::async, [&worker] {
      const InterlayRoutePtr nowhere = route_between(1, 1);
      for (int i = 0; i < 500; ++i) {
        Mismatch mismatch = write_of(nowhere, {"k"});
        if (i % 2 == 0) mismatch.new_reply = "|0\r\n:1\r\n";
        worker.offer(std::move(mismatch));
        if (i % 100 == 0) worker.samples("m1");
      }
    }));
  }
  for (auto& one : offering) one.get();
  worker.stop();
  const MismatchCounts counts = worker.counts("cache");
  const auto& classes = counts.classes[1];
  CHECK(std::accumulate(classes.begin(), classes.end(), counts.dropped) == 2'000);
}

}  // namespace crossfade
