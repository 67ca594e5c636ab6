// What differs is copied whole, what is equal is left alone, and what cannot be proven equal is
// never said to be.
#include "movement/redis_repair.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>
#include <thread>

#include "sides.h"

namespace crossfade {

namespace {

const std::string kBinaryKey("k\0\r\n$3\xff key", 12);

// One key of every type, small and large.
std::vector<std::string> fill(RedisConnection& server) {
  ask(server, {"SET", "text", "value"});
  ask(server, {"SET", "number", "12345"});
  ask(server, {"SET", kBinaryKey, std::string("\0\r\n\xff binary", 11)});
  ask(server, {"SET", "long", std::string(100'000, 'x')});
  ask(server, {"SET", "empty", ""});
  ask(server, {"SETEX", "ending", "1000", "value"});
  ask(server, {"RPUSH", "list", "a", "b", "", "a"});
  ask(server, {"SADD", "numbers", "1", "2", "3"});
  ask(server, {"SADD", "set", "a", "b"});
  ask(server, {"HSET", "hash", "f", "1", "g", ""});
  ask(server, {"ZADD", "zset", "1.5", "a", "-inf", "b", "0.1", "c"});
  ask(server, {"PFADD", "sketch", "a", "b", "c"});
  ask(server, {"XADD", "stream", "5-1", "f", "1", "g", "2"});
  ask(server, {"XADD", "stream", "6-1", "f", "3"});
  ask(server, {"XADD", "stream", "7-1", "f", "3"});
  ask(server, {"XDEL", "stream", "7-1"});
  ask(server, {"XGROUP", "CREATE", "stream", "readers", "0"});
  ask(server, {"XGROUP", "CREATE", "stream", "idle", "$"});
  ask(server, {"XGROUP", "CREATECONSUMER", "stream", "readers", "lazy"});
  ask(server, {"XREADGROUP", "GROUP", "readers", "busy", "STREAMS", "stream", ">"});
  ask(server, {"XACK", "stream", "readers", "5-1"});
  // Two servers are filled one after the other, and a slow machine takes its time.
  ask(server, {"XCLAIM", "stream", "readers", "busy", "0", "6-1", "TIME", "1700000000000",
               "RETRYCOUNT", "1"});
  ask(server, {"XGROUP", "CREATE", "empty stream", "readers", "0", "MKSTREAM"});
  for (int i = 0; i < 3'000; ++i) {
    const std::string text = "member " + std::to_string(i);
    ask(server, {"RPUSH", "large list", text});
    ask(server, {"SADD", "large set", text});
    ask(server, {"HSET", "large hash", text, text});
    ask(server, {"ZADD", "large zset", std::to_string(i * 0.1), text});
  }
  return {"text",   "number",       kBinaryKey,   "long",      "empty",      "ending",
          "list",   "numbers",      "set",        "hash",      "zset",       "sketch",
          "stream", "empty stream", "large list", "large set", "large hash", "large zset"};
}

// The server's word for what the user of an address is not allowed.
EndpointAddress as(EndpointAddress address, const char* user, const char* password) {
  address.username = user;
  address.password = password;
  return address;
}

ServersClient client_of(RedisConnection& connection) {
  const std::string info = ask(connection, {"CLIENT", "INFO"}).text;
  const std::size_t at = info.find(" addr=") + 6;
  return {ask(connection, {"CLIENT", "ID"}).number, info.substr(at, info.find(' ', at) - at)};
}

}  // namespace

TEST_CASE("repair: every type is copied to where it is missing, and then equal") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  for (const std::string& key : fill(old_side)) sides.check_repairs(key);
  RedisConnection new_side = sides.to_new();
  CHECK(ask(new_side, {"GET", kBinaryKey}).text == ask(old_side, {"GET", kBinaryKey}).text);
  CHECK(ask(new_side, {"PEXPIRETIME", "ending"}).number ==
        ask(old_side, {"PEXPIRETIME", "ending"}).number);
  CHECK(ask(new_side, {"XPENDING", "stream", "readers"}).elements[0].number == 1);
}

TEST_CASE("repair: where RESTORE is refused, every type is copied by its own commands") {
  Sides sides({}, {"--rename-command", "RESTORE", ""});
  RedisConnection old_side = sides.to_old();
  for (const std::string& key : fill(old_side)) sides.check_repairs(key);
  RedisConnection new_side = sides.to_new();
  CHECK(ask(new_side, {"PEXPIRETIME", "ending"}).number ==
        ask(old_side, {"PEXPIRETIME", "ending"}).number);
}

TEST_CASE("repair: what is of another type, other, or too much on the wrong side is replaced") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  const auto keys = fill(old_side);
  for (const std::string& key : keys) ask(new_side, {"RPUSH", key, "a"});
  for (const std::string& key : keys) sides.check_repairs(key);
  ask(new_side, {"SADD", "large set", "one more"});
  ask(new_side, {"HSET", "large hash", "member 7", "other"});
  ask(new_side, {"ZADD", "large zset", "7", "member 7"});
  ask(new_side, {"LSET", "large list", "7", "other"});
  ask(new_side, {"XACK", "stream", "readers", "6-1"});
  for (const char* key : {"large set", "large hash", "large zset", "large list", "stream"}) {
    sides.check_repairs(key);
  }
  ask(new_side, {"SET", "only here", "value"});
  sides.check_repairs("only here");
  CHECK(ask(new_side, {"EXISTS", "only here"}).number == 0);
  sides.check_equal("nowhere");
}

TEST_CASE("repair: new may be right") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  ask(old_side, {"SET", "key", "old"});
  ask(new_side, {"SET", "key", "new"});
  sides.task.right = Side::New;
  sides.check_repairs("key");
  CHECK(ask(old_side, {"GET", "key"}).text == "new");
}

TEST_CASE("repair: an expiry that differs is set alone, to the millisecond") {
  for (const bool knows : {true, false}) {
    Sides sides;
    if (!knows) {  // as before Redis 7
      const std::vector<std::string> older{"--rename-command", "PEXPIRETIME", ""};
      sides.servers[1] = std::make_unique<RedisServer>(older);
      sides.task.new_side.port = sides.servers[1]->port();
    }
    RedisConnection old_side = sides.to_old();
    RedisConnection new_side = sides.to_new();
    for (RedisConnection* side : {&old_side, &new_side}) ask(*side, {"SET", "key", "value"});
    ask(new_side, {"PEXPIRE", "key", "500000"});
    sides.check_repairs("key");
    CHECK(ask(new_side, {"PTTL", "key"}).number == -1);
    CHECK(sides.expiries.empty());
    ask(old_side, {"PEXPIRE", "key", "700000"});
    sides.check_repairs("key");
    CHECK(ask(new_side, {"PTTL", "key"}).number > 600'000);
    const auto told = sides.expiries.at("key");  // the right side's, also of what is equal
    CHECK(told == static_cast<std::uint64_t>(ask(old_side, {"PEXPIRETIME", "key"}).number));
    sides.expiries.clear();
    sides.check_equal("key");
    CHECK(sides.expiries.at("key") == told);
    ask(new_side, {"PEXPIRE", "key", "600000"});
    sides.check_repairs("key");
    ask(new_side, {"DEL", "key"});
    sides.check_repairs("key");
    ask(old_side, {"PEXPIRE", "key", "-1"});
    sides.check_repairs("key");
    CHECK(ask(new_side, {"EXISTS", "key"}).number == 0);
  }
}

TEST_CASE("repair: what is equal in content is left alone, whatever its bytes") {
  Sides sides({"--rdbcompression", "no", "--set-max-intset-entries", "0"});
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  std::vector<std::string> keys;
  for (RedisConnection* side : {&old_side, &new_side}) keys = fill(*side);
  ask(new_side,
      {"PEXPIREAT", "ending", std::to_string(ask(old_side, {"PEXPIRETIME", "ending"}).number)});
  ask(new_side, {"PFCOUNT", "sketch"});
  for (const char* key : {"long", "numbers", "large set", "large hash", "sketch", "stream"}) {
    INFO(key);
    CHECK(ask(old_side, {"DUMP", key}).text != ask(new_side, {"DUMP", key}).text);
  }
  for (const std::string& key : keys) sides.check_equal(key);
}

TEST_CASE("repair: a group that has lost count is not one that has not") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  for (RedisConnection* side : {&old_side, &new_side}) ask(*side, {"XADD", "key", "5-1", "f", "1"});
  ask(old_side, {"XGROUP", "CREATE", "key", "group", "5-1", "ENTRIESREAD", "1"});
  ask(new_side, {"XGROUP", "CREATE", "key", "group", "5-1"});
  sides.check_repairs("key");
}

TEST_CASE("repair: a sketch that is none is compared to the last byte") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  for (const char encoding : {'\0', '\1'}) {
    const std::string begin = std::string("HYLL") + encoding + std::string(3, '\0');
    ask(old_side, {"SET", "key", begin + "aaaaaaaabody"});
    ask(new_side, {"SET", "key", begin + "bbbbbbbbbody"});
    sides.check_repairs("key");
  }
  // Of the sparse encoding, but short of one register: 16,383 of them are zero.
  const std::string begin("HYLL\1\0\0\0", 8);
  const std::string registers("\x7f\xfe", 2);
  ask(old_side, {"SET", "key", begin + "aaaaaaaa" + registers});
  ask(new_side, {"SET", "key", begin + "bbbbbbbb" + registers});
  sides.check_repairs("key");
}

TEST_CASE("repair: what is too large to be compared is copied, and known to be") {
  Sides sides;
  sides.limits.compare = {.bytes_max = 1'000, .elements_max = 10};
  sides.limits.big_value = 2'000;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  for (RedisConnection* side : {&old_side, &new_side}) fill(*side);
  const Settled settled = sides.settle("large set");
  CHECK_MESSAGE(settled.outcome == RepairOutcome::Repaired, settled.why);
  CHECK(settled.bytes_copied > 2'000);
  CHECK(settled.big);
}

TEST_CASE("repair: a value of 50 MB is copied") {
  const std::vector<std::string> as_it_is{"--rdbcompression", "no"};
  Sides sides(as_it_is, as_it_is);
  RedisConnection old_side = sides.to_old();
  std::string value(50'000'000, '\0');
  for (std::size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * i % 251);
  ask(old_side, {"SET", "huge", value});
  sides.limits.turn_ms = kTestLimit_ms;
  sides.check_repairs("huge");
  RedisConnection new_side = sides.to_new();
  CHECK(ask(new_side, {"STRLEN", "huge"}).number == 50'000'000);
}

TEST_CASE("repair: databases are the client's, or each side's own") {
  Sides sides;
  sides.task.new_side.db = 3;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  ask(old_side, {"SET", "key", "0"});
  ask(old_side, {"SELECT", "5"});
  ask(old_side, {"SET", "key", "5"});
  sides.check_repairs("key");
  CHECK(ask(new_side, {"GET", "key"}).text == "0");
  sides.check_repairs("key", 5);
  ask(new_side, {"SELECT", "5"});
  CHECK(ask(new_side, {"GET", "key"}).text == "5");
  CHECK(sides.check_fails("key", 99).find("out of range") != std::string::npos);
  sides.check_equal("key");
}

TEST_CASE("repair: servers are entered with their endpoint's credentials") {
  Sides sides({"--requirepass", "old-s3cret"},
              {"--user", "app", "on", ">new-s3cret", "~*", "+@all", "--user", "default", "off"});
  sides.task.old_side.password = "old-s3cret";
  sides.task.new_side = as(sides.task.new_side, "app", "new-s3cret");
  RedisConnection old_side = sides.to_old();
  ask(old_side, {"SET", "key", "value"});
  sides.check_repairs("key");
  ask(old_side, {"SET", "key", "other"});
  sides.task.new_side.password = "wrong-s3cret";
  const std::string why = sides.check_fails("key");
  CHECK(why.find("WRONGPASS") != std::string::npos);
  CHECK(why.find("s3cret") == std::string::npos);
  sides.task.new_side.password = "new-s3cret";
  sides.check_repairs("key");
}

TEST_CASE("repair: a user who may not read keys is told so") {
  Sides sides({}, {"--user", "app", "on", ">pw", "~*", "+@all", "-dump"});
  sides.task.new_side = as(sides.task.new_side, "app", "pw");
  RedisConnection old_side = sides.to_old();
  ask(old_side, {"SET", "key", "value"});
  CHECK(sides.check_fails("key").find("NOPERM") != std::string::npos);
  sides.task.new_side.username.clear();
  sides.task.new_side.password.clear();
  sides.check_repairs("key");
}

TEST_CASE("repair: a side without memory refuses copies and takes deletions") {
  Sides sides({}, {"--maxmemory", "1", "--maxmemory-policy", "noeviction"});
  RedisConnection old_side = sides.to_old();
  ask(old_side, {"SET", "key", "pay-load"});
  const std::string why = sides.check_fails("key");
  CHECK(why.find("OOM") != std::string::npos);
  CHECK(why.find("pay-load") == std::string::npos);
  RedisConnection new_side = sides.to_new();
  ask(new_side, {"CONFIG", "SET", "maxmemory", "0"});
  sides.check_repairs("key");
  ask(old_side, {"DEL", "key"});
  ask(new_side, {"CONFIG", "SET", "maxmemory", "1"});
  sides.check_repairs("key");
}

TEST_CASE("repair: a side that is a replica is told of, with or without RESTORE") {
  RedisServer master;
  for (const char* name : {"RESTORE", "IGNORED"}) {
    Sides sides({}, {"--replicaof", "127.0.0.1 " + std::to_string(master.port()),
                     "--rename-command", name == std::string("RESTORE") ? name : "MONITOR", ""});
    RedisConnection old_side = sides.to_old();
    ask(old_side, {"SET", "key", "value"});
    CHECK(sides.check_fails("key").find("READONLY") != std::string::npos);
  }
}

TEST_CASE("repair: a side that dies in the key's turn is a failure, and then a quick one") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  ask(old_side, {"SET", "key", "value"});
  ask(old_side, {"SET", "other", "value"});
  sides.check_repairs("other");
  sides.when_held = [&] { sides.servers[1]->end(); };
  CHECK(sides.check_fails("key").find("'new'") != std::string::npos);
  bool held = false;
  sides.when_held = [&] { held = true; };
  for (int i = 0; i < 100; ++i) {
    CHECK(sides.check_fails("key").find("connect to endpoint 'new'") != std::string::npos);
  }
  CHECK_FALSE(held);
}

TEST_CASE(
    "repair: it rests while a side cannot be reached, and touches nothing before it is awake") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  ask(old_side, {"SET", "key", "value"});
  sides.wakes = false;  // writes rely on its rest
  sides.rests = true;
  bool held = false;
  sides.when_held = [&] { held = true; };
  CHECK(sides.settle("key").outcome == RepairOutcome::Newer);
  CHECK_FALSE(sides.rests);
  CHECK_FALSE(held);
  RedisConnection new_side = sides.to_new();
  CHECK(ask(new_side, {"EXISTS", "key"}).number == 0);
  sides.wakes = true;
  sides.check_repairs("key");
  CHECK_FALSE(sides.rests);
  sides.servers[1]->end();
  sides.when_held = [] {};
  sides.check_fails("key");  // in its turn, or before
  CHECK(sides.settle("key").outcome == RepairOutcome::Unreachable);
  CHECK(sides.rests);
}

TEST_CASE("repair: without leave nothing is copied, and what is equal is seen to be") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  ask(old_side, {"SET", "key", "value"});
  sides.leave = false;
  CHECK(sides.check_fails("key").find("does not write to both sides") != std::string::npos);
  CHECK(ask(new_side, {"EXISTS", "key"}).number == 0);
  ask(new_side, {"SET", "key", "value"});
  sides.check_equal("key");
}

TEST_CASE("repair: which side is right is asked when the turn is held") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  ask(old_side, {"SET", "key", "stale"});
  sides.when_held = [&] {  // a write that only the new side has taken comes before the turn
    ask(new_side, {"SET", "key", "taken"});
    sides.doors.right = [](const RepairTask&) { return Side::New; };
  };
  CHECK(sides.settle("key").outcome == RepairOutcome::Repaired);
  CHECK(ask(old_side, {"GET", "key"}).text == "taken");
}

TEST_CASE("repair: no turn in time is no failure") {
  Sides sides;
  sides.doors.hold = [](const RepairTask&, std::uint32_t) { return std::shared_ptr<void>(); };
  CHECK(sides.settle("key").outcome == RepairOutcome::Newer);
}

TEST_CASE("repair: the turn ends at its limit, and a longer one follows") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  ask(old_side, {"SET", "key", "value"});
  sides.check_repairs("key");
  sides.limits.turn_ms = 100;
  sides.when_held = [&] { sides.servers[1]->freeze(); };
  const Settled settled = sides.settle("key");
  CHECK(settled.outcome == RepairOutcome::Failed);
  CHECK(settled.why.find("no answer in time") != std::string::npos);
  CHECK(settled.held_us >= 100'000);
  sides.servers[1]->thaw();
  sides.when_held = [] {};
  sides.task.attempts = 8;
  sides.check_equal("key");
}

TEST_CASE("repair: a connection that was given up is ended before a copy is believed") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection new_side = sides.to_new();
  ask(old_side, {"SET", "key", "right"});
  ask(new_side, {"SET", "key", "wrong"});
  RedisConnection waiting = sides.to_new();   // its write waits for somebody else's
  RedisConnection buffered = sides.to_new();  // its write is in a buffer of the server's kernel
  sides.ghosts[1] = {client_of(waiting), client_of(buffered), {4'711, ""}};
  const std::vector<RedisCommand> later{{"BLMOVE", "source", "key", "LEFT", "LEFT", "0"}};
  REQUIRE(waiting.send(later).ok());
  sides.servers[1]->freeze();
  const std::vector<RedisCommand> stale{{"SET", "key", "stale"}};
  REQUIRE(buffered.send(stale).ok());
  sides.servers[1]->thaw();
  const Settled settled = sides.settle("key");
  CHECK_MESSAGE(settled.outcome == RepairOutcome::Repaired, settled.why);
  CHECK(settled.fenced == 3);
  CHECK(sides.ghosts[1].empty());
  ask(new_side, {"DEL", "key"});
  ask(old_side, {"DEL", "key"});
  ask(new_side, {"RPUSH", "source", "stale"});  // would wake the waiting write
  sides.check_equal("key");
  CHECK_FALSE(waiting.receive().ok());
}

TEST_CASE("repair: one that appears while the turn is waited for is ended, too") {
  Sides sides;
  RedisConnection old_side = sides.to_old();
  RedisConnection late = sides.to_new();
  ask(old_side, {"SET", "key", "right"});
  const ServersClient client = client_of(late);
  sides.when_held = [&] { sides.ghosts[1] = {client}; };
  CHECK(sides.settle("key").outcome == RepairOutcome::Repaired);
  CHECK_FALSE(late.call({"PING"}).ok());
}

TEST_CASE("repair: who has the number now that one had in an earlier process is left alone") {
  Sides sides;
  RedisConnection another = sides.to_new();
  sides.ghosts[1] = {{client_of(another).id, "127.0.0.1:1"}};
  sides.check_equal("key");
  CHECK(sides.ghosts[1].empty());
  CHECK(another.call({"PING"}).ok());
}

TEST_CASE("repair: where CLIENT KILL is refused, a connection must be seen to be gone") {
  Sides sides({}, {"--user", "app", "on", ">pw", "~*", "+@all", "-client|kill", "--user", "less",
                   "on", ">pw", "~*", "+@all", "-client"});
  RedisConnection old_side = sides.to_old();
  ask(old_side, {"SET", "key", "right"});
  {
    RedisConnection open = sides.to_new();
    sides.ghosts[1] = {client_of(open)};
    sides.task.new_side = as(sides.task.new_side, "less", "pw");
    CHECK(sides.check_fails("key").find("cannot tell") != std::string::npos);
    sides.task.new_side = as(sides.task.new_side, "app", "pw");
    CHECK(sides.check_fails("key").find("still open") != std::string::npos);
  }
  const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(kTestLimit_ms);
  Settled settled;
  while (settled.outcome != RepairOutcome::Repaired && std::chrono::steady_clock::now() < limit) {
    settled = sides.settle("key");
  }
  CHECK_MESSAGE(settled.outcome == RepairOutcome::Repaired, settled.why);
}

TEST_CASE("repair: a copy of its own that got no answer never comes after a later one") {
  for (const char* user : {"app", "less"}) {
    Sides sides({}, {"--user", "app", "on", ">pw", "~*", "+@all", "--user", "less", "on", ">pw",
                     "~*", "+@all", "-client"});
    sides.limits.turn_ms = 300;
    RedisConnection old_side = sides.to_old();
    RedisConnection new_side = sides.to_new();
    sides.task.new_side = as(sides.task.new_side, user, "pw");
    ask(old_side, {"SET", "key", "stale"});
    ask(new_side, {"CLIENT", "PAUSE", "100000", "WRITE"});  // reads go on
    CHECK(sides.check_fails("key").find("no answer in time") != std::string::npos);
    ask(old_side, {"SET", "key", "right"});
    if (user == std::string("less")) {
      CHECK(sides.check_fails("key").find("may still run") != std::string::npos);
    }
    ask(new_side, {"CLIENT", "UNPAUSE"});
    sides.limits.turn_ms = kTestLimit_ms;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(kTestLimit_ms);
    Settled settled;
    while (settled.outcome != RepairOutcome::Repaired && std::chrono::steady_clock::now() < limit) {
      settled = sides.settle("key");
    }
    CHECK_MESSAGE(settled.outcome == RepairOutcome::Repaired, settled.why);
    CHECK(ask(new_side, {"GET", "key"}).text == "right");
  }
}

TEST_CASE("repair: writers that take turns with it lose nothing") {
  Sides sides;
  constexpr int kWrites = 2'000;
  std::thread writer([&] {
    RedisConnection old_side = sides.to_old();
    RedisConnection new_side = sides.to_new();
    for (int i = 0; i < kWrites; ++i) {
      const std::lock_guard lock(sides.turn);
      ask(old_side, {"INCR", "key"});
      if (i % 3 != 0) ask(new_side, {"INCR", "key"});  // others are missed
    }
  });
  Settled settled;
  RedisConnection old_side = sides.to_old();
  while (ask(old_side, {"GET", "key"}).text != std::to_string(kWrites)) {
    settled = sides.settle("key");
    CHECK_MESSAGE(settled.outcome != RepairOutcome::Failed, settled.why);
  }
  writer.join();
  CHECK(sides.settle("key").outcome != RepairOutcome::Failed);
  sides.check_equal("key");
  RedisConnection new_side = sides.to_new();
  CHECK(ask(new_side, {"GET", "key"}).text == std::to_string(kWrites));
}

}  // namespace crossfade
