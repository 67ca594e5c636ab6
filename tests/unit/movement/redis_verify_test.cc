// Everything is looked at on both sides; what differs is found, what only looks different is not.
#include "movement/redis_verify.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "sides.h"

namespace crossfade {

namespace {

struct Verified {
  VerifyCounts counts;
  std::vector<SuspectKey> found;
  std::uint64_t reports = 0;
};

VerifyJob job_of(const Sides& sides, std::uint32_t rate_max = 0) {
  VerifyJob job;
  job.old_side = sides.task.old_side;
  job.new_side = sides.task.new_side;
  job.rate_max = rate_max;
  return job;
}

Verified verify(const Sides& sides, std::uint32_t rate_max = 0) {
  Verified verified;
  verified.counts = verify_redis(
      job_of(sides, rate_max), [&](SuspectKey key) { verified.found.push_back(std::move(key)); },
      [&](const VerifyCounts& counts) {
        CHECK(counts.differing == verified.found.size());
        ++verified.reports;
      },
      {});
  std::sort(verified.found.begin(), verified.found.end(),
            [](const SuspectKey& one, const SuspectKey& other) {
              return std::tie(one.db, one.key) < std::tie(other.db, other.key);
            });
  return verified;
}

void fill(RedisConnection& server, int keys) {
  for (int i = 0; i < keys; ++i) ask(server, {"SET", "key " + std::to_string(i), "value"});
}

}  // namespace

TEST_CASE("verify: every key that differs or is on one side only is found, once") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  for (RedisConnection* side : {&old_side, &new_side}) {
    fill(*side, 3'000);
    for (int i = 0; i < 1'000; ++i) ask(*side, {"SADD", "set", "member " + std::to_string(i)});
  }
  ask(old_side, {"SET", "key 17", "other"});
  ask(new_side, {"DEL", "key 18"});
  ask(new_side, {"SET", "only new", "value"});
  ask(new_side, {"PEXPIRE", "key 19", "100000"});
  ask(new_side, {"RPUSH", std::string("bin\0ary", 7), "value"});
  const Verified verified = verify(sides);
  CHECK_MESSAGE(verified.counts.complete, verified.counts.why);
  CHECK(verified.found == std::vector<SuspectKey>{{kDefaultDb, std::string("bin\0ary", 7)},
                                                  {kDefaultDb, "key 17"},
                                                  {kDefaultDb, "key 18"},
                                                  {kDefaultDb, "key 19"},
                                                  {kDefaultDb, "only new"}});
  CHECK(verified.counts.differing == 5);
  CHECK(verified.counts.looked_at == 6'003);
  CHECK(verified.counts.total == 6'003);
  CHECK(verified.reports >= 12);
  for (const SuspectKey& at : verified.found) sides.check_repairs(at.key, at.db);
  CHECK(verify(sides).found.empty());
}

TEST_CASE("verify: every database is looked at that either side has keys in") {
  Sides sides;
  sides.task.old_side.db = 1;
  sides.task.new_side.db = 3;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  for (RedisConnection* side : {&old_side, &new_side}) fill(*side, 10);
  ask(old_side, {"SET", "key 1", "other"});
  ask(old_side, {"SELECT", "5"});
  ask(old_side, {"SET", "five", "value"});
  ask(new_side, {"SELECT", "7"});
  ask(new_side, {"SET", "seven", "value"});
  ask(new_side, {"SELECT", "1"});  // somebody else's
  ask(new_side, {"SET", "one", "value"});
  const Verified verified = verify(sides);
  CHECK_MESSAGE(verified.counts.complete, verified.counts.why);
  CHECK(verified.found ==
        std::vector<SuspectKey>{{kDefaultDb, "key 1"}, {5, "five"}, {7, "seven"}});
  CHECK(verified.counts.total == 22);
}

TEST_CASE("verify: servers that are empty are equal") {
  Sides sides;
  const Verified verified = verify(sides);
  CHECK(verified.counts.complete);
  CHECK(verified.counts.looked_at == 0);
}

TEST_CASE("verify: servers before PEXPIRETIME are verified, too") {
  Sides sides({}, {"--rename-command", "PEXPIRETIME", ""});
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  for (RedisConnection* side : {&old_side, &new_side}) {
    fill(*side, 100);
    ask(*side, {"PEXPIREAT", "key 5", "4102444800000"});
  }
  ask(new_side, {"PEXPIREAT", "key 6", "4102444800000"});
  const Verified verified = verify(sides);
  CHECK_MESSAGE(verified.counts.complete, verified.counts.why);
  CHECK(verified.found == std::vector<SuspectKey>{{kDefaultDb, "key 6"}});
}

TEST_CASE("verify: functions that differ leave it incomplete, and every key is looked at") {
  const std::string cache = "#!lua name=cache\nredis.register_function('f', function() end)";
  const std::string other = "#!lua name=other\nredis.register_function('g', function() end)";
  const std::string changed = "#!lua name=cache\nredis.register_function('f', function() end) -- 2";
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  const auto check_differs = [&](std::string_view library) {
    const Verified verified = verify(sides);
    CHECK_FALSE(verified.counts.complete);
    INFO(verified.counts.why);
    CHECK(verified.counts.why.starts_with("the functions of both sides differ (library '" +
                                          std::string(library) + "'): "));
    CHECK(verified.found == std::vector<SuspectKey>{{kDefaultDb, "key 1"}});
  };
  ask(old_side, {"SET", "key 1", "value"});
  ask(old_side, {"FUNCTION", "LOAD", cache});
  check_differs("cache");
  ask(new_side, {"FUNCTION", "LOAD", changed});
  check_differs("cache");
  ask(new_side, {"FUNCTION", "LOAD", "REPLACE", cache});
  ask(new_side, {"FUNCTION", "LOAD", other});
  check_differs("other");
  ask(old_side, {"FUNCTION", "LOAD", other});
  const Verified verified = verify(sides);
  CHECK_MESSAGE(verified.counts.complete, verified.counts.why);
}

TEST_CASE("verify: a server that does not know functions has none") {
  const std::string library = "#!lua name=cache\nredis.register_function('f', function() end)";
  Sides sides({"--rename-command", "FUNCTION", ""});
  RedisConnection new_side = sides.to_new();
  CHECK(verify(sides).counts.complete);
  ask(new_side, {"FUNCTION", "LOAD", library});
  const VerifyCounts counts = verify(sides).counts;
  CHECK_FALSE(counts.complete);
  CHECK(counts.why.find("functions of both sides differ") != std::string::npos);
  Sides both({"--rename-command", "FUNCTION", ""}, {"--rename-command", "FUNCTION", ""});
  CHECK(verify(both).counts.complete);
}

TEST_CASE("verify: where functions may not be asked for it is not complete") {
  Sides sides({}, {"--user", "app", "on", ">pw", "~*", "+@all", "-function"});
  sides.task.new_side.username = "app";
  sides.task.new_side.password = "pw";
  const VerifyCounts counts = verify(sides).counts;
  CHECK_FALSE(counts.complete);
  CHECK(counts.why.find("endpoint 'new' refuses FUNCTION LIST: NOPERM") != std::string::npos);
}

TEST_CASE(
    "verify: the expiries of old are told once a key, and counted where nobody remembers them") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  const std::uint64_t ahead = 99'999'999'999'999;
  for (RedisConnection* side : {&old_side, &new_side}) {
    fill(*side, 50);
    for (const char* key : {"one", "two"}) {
      ask(*side, {"SET", key, "value", "PXAT", std::to_string(ahead)});
    }
  }
  ask(new_side, {"SET", "only new", "value", "PXAT", std::to_string(ahead)});
  std::map<std::string, std::uint64_t> told;
  VerifyJob job = job_of(sides);
  job.expires = [&](std::int32_t db, const std::string& key, std::uint64_t at_ms) {
    CHECK(db == kDefaultDb);
    CHECK(told.emplace(key, at_ms).second);
    return key == "one";
  };
  const VerifyCounts counts = verify_redis(
      job, [](SuspectKey) {}, [](const VerifyCounts&) {}, {});
  CHECK_MESSAGE(counts.complete, counts.why);
  CHECK(told == std::map<std::string, std::uint64_t>{{"one", ahead}, {"two", ahead}});
  CHECK(counts.expiries_unknown == 1);
}

TEST_CASE("verify: large values are read in small pipelines") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  std::string value(2'000'000, '\0');
  std::uint64_t state = 1;
  for (char& byte : value)
    byte = static_cast<char>((state = state * 6364136223846793005 + 1) >> 56);
  for (RedisConnection* side : {&old_side, &new_side}) {
    for (int i = 0; i < 40; ++i) ask(*side, {"SET", "key " + std::to_string(i), value});
  }
  const Verified verified = verify(sides);
  CHECK_MESSAGE(verified.counts.complete, verified.counts.why);
  CHECK(verified.found.empty());
  CHECK(verified.reports >= 16);
}

TEST_CASE("verify: it ends when it is to stop, and is then not complete") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  fill(old_side, 2'000);
  std::stop_source stop;
  std::uint64_t looked_at = 0;
  const VerifyCounts counts = verify_redis(
      job_of(sides, 20'000), [](SuspectKey) {},
      [&](const VerifyCounts& now) {
        looked_at = now.looked_at;
        if (looked_at > 500) stop.request_stop();
      },
      stop.get_token());
  CHECK_FALSE(counts.complete);
  CHECK(counts.why.find("stopped") != std::string::npos);
  CHECK(looked_at < 2'000);
}

TEST_CASE("verify: it keeps its pace") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  fill(old_side, 200);
  const auto began = std::chrono::steady_clock::now();
  CHECK(verify(sides, 1'000).counts.complete);
  CHECK(std::chrono::steady_clock::now() - began >= std::chrono::milliseconds(199));
}

TEST_CASE("verify: a side that cannot be reached, refuses, or dies leaves it incomplete") {
  Sides sides({}, {"--user", "app", "on", ">pw", "~*", "+@all", "-scan"});
  RedisConnection old_side = sides.to_old();
  fill(old_side, 2'000);
  sides.task.new_side.username = "app";
  sides.task.new_side.password = "pw";
  const Verified refused = verify(sides);
  CHECK_FALSE(refused.counts.complete);
  CHECK(refused.counts.why.find("NOPERM") != std::string::npos);
  sides.task.new_side.username.clear();
  sides.task.new_side.password.clear();
  const VerifyCounts died = verify_redis(
      job_of(sides, 20'000), [](SuspectKey) {},
      [&](const VerifyCounts&) { sides.servers[1]->end(); }, {});
  CHECK_FALSE(died.complete);
  CHECK(died.why.find("'new'") != std::string::npos);
  const Verified unreachable = verify(sides);
  CHECK_FALSE(unreachable.counts.complete);
  CHECK(unreachable.counts.why.find("connect to endpoint 'new'") != std::string::npos);
}

}  // namespace crossfade
