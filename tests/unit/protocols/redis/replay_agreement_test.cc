// Agreement of two real servers: after a write on one and its repetition on the other, both hold
// the same.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>

#include "protocols/redis/facts.h"
#include "protocols/redis/replay.h"
#include "protocols/redis/reply.h"
#include "protocols/redis/reply_view.h"
#include "tests/unit/protocols/redis/bytes.h"
#include "tests/unit/protocols/redis/server.h"

namespace crossfade::redis {
namespace {

constexpr std::int64_t kExpiryOffMax = 5;  // ms
constexpr std::int64_t kDeliveryOffMax =
    5'000;  // ms: delivery times are those of the second server
constexpr std::int64_t kTimesFrom = 1'000'000'000'000;  // what is larger is a time in ms

const std::string kSoon = "4102444800000";  // the year 2100

// What a server holds under one key, in a form that does not depend on how it is laid out.
struct Held {
  std::string text;
  std::vector<std::int64_t> times;  // delivery and consumers' times, in the order of the text
  std::int64_t expiry = -1;
};
using State = std::map<std::string, Held>;

void render(const redisReply& reply, Held& held) {
  switch (reply.type) {
    case REDIS_REPLY_ARRAY:
      held.text += "(";
      for (std::size_t i = 0; i < reply.elements; ++i) render(*reply.element[i], held);
      held.text += ")";
      break;
    case REDIS_REPLY_INTEGER:
      if (reply.integer > kTimesFrom) {
        held.times.push_back(reply.integer);
        held.text += " time";
      } else {
        held.text += " " + std::to_string(reply.integer);
      }
      break;
    case REDIS_REPLY_NIL:
      held.text += " nil";
      break;
    default:
      held.text += " '" + std::string(reply.str, reply.len) + "'";
  }
}

// A set, or a hash as pairs, in the order of its members.
void render_sorted(const redisReply& reply, std::size_t step, Held& held) {
  std::multiset<std::string> lines;
  for (std::size_t i = 0; i + step <= reply.elements; i += step) {
    Held line;
    for (std::size_t j = 0; j < step; ++j) render(*reply.element[i + j], line);
    lines.insert(line.text);
  }
  for (const std::string& line : lines) held.text += line + ";";
}

Held held_by(Server& server, const std::string& key) {
  Held held;
  const Server::Reply type_reply = server.call({"TYPE", key});
  const std::string type(type_reply->str, type_reply->len);
  held.text = type + ":";
  if (type == "string") render(*server.call({"GET", key}), held);
  if (type == "list") render(*server.call({"LRANGE", key, "0", "-1"}), held);
  if (type == "set") render_sorted(*server.call({"SMEMBERS", key}), 1, held);
  if (type == "hash") render_sorted(*server.call({"HGETALL", key}), 2, held);
  if (type == "zset") render(*server.call({"ZRANGE", key, "0", "-1", "WITHSCORES"}), held);
  if (type == "stream") render(*server.call({"XINFO", "STREAM", key, "FULL", "COUNT", "0"}), held);
  held.expiry = server.call({"PEXPIRETIME", key})->integer;
  return held;
}

State state_of(Server& server) {
  State state;
  for (const std::string db : {"1", "0"}) {
    (void)server.call({"SELECT", db});
    const Server::Reply keys = server.call({"KEYS", "*"});
    for (std::size_t i = 0; i < keys->elements; ++i) {
      const std::string key(keys->element[i]->str, keys->element[i]->len);
      state[db + "/" + key] = held_by(server, key);
    }
  }
  render(*server.call({"FUNCTION", "DUMP"}), state["functions"]);
  return state;
}

void check_equal(const State& left, const State& right) {
  for (const auto& [key, held] : left) {
    CAPTURE(key);
    const auto found = right.find(key);
    CHECK_MESSAGE(found != right.end(), "only the first server has it");
    if (found == right.end()) continue;
    CHECK(held.text == found->second.text);
    CHECK(std::abs(held.expiry - found->second.expiry) <= kExpiryOffMax);
    CHECK((held.expiry < 0) == (found->second.expiry < 0));
    REQUIRE(held.times.size() == found->second.times.size());
    for (std::size_t i = 0; i < held.times.size(); ++i) {
      CHECK(std::abs(held.times[i] - found->second.times[i]) <= kDeliveryOffMax);
    }
  }
  for (const auto& [key, held] : right) {
    CHECK_MESSAGE(left.contains(key), "only the second server has " << key);
  }
}

// Two servers, and a client that speaks one version of the protocol with both.
struct Pair {
  Server first;
  Server second;
};

// One of everything, without chance and with expiries that are far away.
void fill(Server& server) {
  for (const Words& words : std::vector<Words>{
           {"FLUSHALL"},
           {"FUNCTION", "FLUSH"},
           {"SELECT", "0"},
           {"SET", "n", "10", "PXAT", kSoon},
           {"SET", "text", "abcdef"},
           {"SET", "f", "10.5", "PXAT", kSoon},
           {"SET", std::string("k\r\n\0\xff$1", 8), "7"},
           {"RPUSH", "l", "3", "1", "2", "1", "b"},
           {"RPUSH", "l2", "x", "y"},
           {"SADD", "s", "a", "b", "c", "d", "e", std::string("m\r\n\0", 4), ""},
           {"SADD", "ints", "1", "2", "3", "4", "5"},
           {"PEXPIREAT", "ints", kSoon},
           {"SADD", "s2", "a", "b", "1", "2"},
           {"ZADD", "z", "1", "a", "2", "b", "3", "c", "3", "d"},
           {"ZADD", "z2", "5", "a", "6", "e"},
           {"HSET", "h", "f", "1.5", "g", "10", "k", "text"},
           {"PEXPIREAT", "h", kSoon},
           {"PFADD", "hll", "a", "b", "c"},
           {"PFADD", "hll2", "c", "d"},
           {"GEOADD", "geo", "13.36", "38.11", "p", "15.08", "37.50", "c"},
           {"MSET", "w_1", "9", "w_2", "8", "w_3", "7", "w_b", "1"},
           {"EVAL", "for i = 1, 250 do redis.call('XADD', KEYS[1], i .. '-1', 'f', i) end", "1",
            "st"},
           {"XGROUP", "CREATE", "st", "g", "0"},
           {"XREADGROUP", "GROUP", "g", "c1", "COUNT", "20", "STREAMS", "st", ">"},
           {"XCLAIM", "st", "g", "c1", "0", "1-1", "2-1", "3-1", "4-1", "5-1", "6-1", "IDLE",
            "900000", "JUSTID"},
           {"XDEL", "st", "2-1", "5-1", "7-1"},
           {"PEXPIREAT", "st", kSoon}}) {
    const Server::Reply reply = server.call(words);
    REQUIRE_MESSAGE(reply->type != REDIS_REPLY_ERROR, words[0] << ": " << reply->str);
  }
}

std::vector<std::string_view> split_replies(std::string_view bytes) {
  std::vector<std::string_view> replies;
  while (!bytes.empty()) {
    ReplyScanner scanner;
    const ReplyScanner::Step step = scanner.advance(bytes);
    REQUIRE(step.state == ReplyScanner::State::Complete);
    replies.push_back(bytes.substr(0, step.consumed));
    bytes.remove_prefix(step.consumed);
  }
  return replies;
}

struct Client {
  const CommandTable& commands;
  std::string greeting;  // HELLO, or nothing

  std::vector<std::string_view> call(const Server& server, const std::string& bytes,
                                     std::string& answer) const {
    answer = server.answer_to(greeting + bytes);
    std::vector<std::string_view> replies = split_replies(answer);
    if (!greeting.empty()) replies.erase(replies.begin());
    return replies;
  }
};

// Runs one write as a dual write; returns how it was repeated.
Replay run(const Client& client, const Pair& pair, const Words& words) {
  const std::string bytes = resp(words);
  RequestCutter cutter;
  REQUIRE(std::holds_alternative<Request>(cutter.advance(bytes)));
  const auto facts = facts_of(client.commands, cutter, bytes, true);
  REQUIRE(facts->spec != nullptr);
  std::vector<std::string_view> args, keys;
  for (std::size_t i = 0; i < cutter.arg_count(); ++i) args.push_back(cutter.arg(i, bytes));
  for_each_key(*facts->spec, cutter, bytes, [&](std::string_view key) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  });
  const Replay replay = replay_of(facts->spec, args, true);

  std::string asked;
  const std::uint32_t questions =
      append_questions(replay, facts->spec, args, keys, client.commands, asked);
  std::string answer;
  const auto replies = client.call(pair.first, bytes + asked, answer);
  REQUIRE(replies.size() == 1 + questions);
  CAPTURE(answer);

  std::string repeated;
  const bool at_once =
      replay == Replay::Same || replay == Replay::Expiry || replay == Replay::Suspect;
  if (at_once) repeated = bytes;
  std::uint32_t expected = at_once ? 1 : 0;
  if (!is_error(replies[0])) {
    const Done done{.spec = facts->spec,
                    .args = args,
                    .keys = keys,
                    .reply = replies[0],
                    .answers = std::span(replies).subspan(1)};
    const auto count = append_repeat(replay, done, repeated);
    REQUIRE(count.has_value());
    expected += *count;
  }
  std::string second_answer;
  const auto repetitions = client.call(pair.second, repeated, second_answer);
  CAPTURE(repeated);
  CHECK(repetitions.size() == expected);
  for (std::size_t i = 0; i < repetitions.size(); ++i) {
    CHECK(is_error(repetitions[i]) == (at_once && i == 0 && is_error(replies[0])));
  }
  return replay;
}

std::vector<Words> forms() {
  const std::string odd("k\r\n\0\xff$1", 8);
  const std::string serialized("\x00\xc0\x05\x0a\x00\x63\x2f\x5f\x66\x83\x2f\xb3\x51", 13);
  return {
      {"SET", "n", "v"},
      {"SET", odd, std::string("\0\r\n", 3)},
      {"SET", "n", "v", "KEEPTTL"},
      {"SET", "n", "v", "EX", "1000"},
      {"set", "new", "v", "px", "100000", "nx"},
      {"SET", "n", "v", "NX", "EX", "1000"},
      {"SET", "n", "v", "XX", "GET", "PX", "100000"},
      {"SET", "text", "v", "NX", "GET", "EX", "1000"},
      {"SET", "EX", "PX"},
      {"SET", "n", "v", "PXAT", kSoon},
      {"SET", "n", "v", "EXAT", "1"},
      {"SETEX", "n", "1000", "v"},
      {"PSETEX", "new", "100000", "v"},
      {"SETNX", "new", "v"},
      {"GETEX", "text", "EX", "1000"},
      {"GETEX", "text", "px", "100000"},
      {"GETEX", "none", "PX", "100000"},
      {"GETEX", "n", "PERSIST"},
      {"GETEX", "n", "EXAT", "4102444801"},
      {"GETEX", "n"},
      {"GETDEL", "n"},
      {"GETSET", "n", "v"},
      {"EXPIRE", "text", "1000"},
      {"EXPIRE", odd, "1000"},
      {"EXPIRE", "none", "1000"},
      {"EXPIRE", "text", "-1"},
      {"EXPIRE", "n", "1000", "NX"},
      {"EXPIRE", "n", "1000", "LT"},
      {"PEXPIRE", "n", "1000000", "GT"},
      {"PEXPIRE", "s", "1000000"},
      {"EXPIREAT", "text", "4102444800"},
      {"PEXPIREAT", "text", kSoon},
      {"PEXPIREAT", "text", "1"},
      {"PERSIST", "n"},
      {"RESTORE", "new", "0", serialized},
      {"RESTORE", "new", "100000", serialized},
      {"RESTORE", "n", "100000", serialized, "REPLACE", "IDLETIME", "5"},
      {"RESTORE", "n", kSoon, serialized, "replace", "absttl"},
      {"RESTORE", "n", "1", "bad"},
      {"RESTORE-ASKING", "new", "100000", serialized},
      {"RESTORE-ASKING", "n", "0", serialized, "REPLACE"},
      {"COPY", "n", "new"},
      {"COPY", "st", "new", "DB", "1"},
      {"MOVE", "n", "1"},
      {"RENAME", "n", "text"},
      {"RENAMENX", "n", "new"},
      {"DEL", "n", "l", "none"},
      {"UNLINK", "n", "st"},
      {"APPEND", "n", "5"},
      {"DECR", "n"},
      {"DECRBY", "n", "3"},
      {"INCR", "n"},
      {"INCR", "text"},
      {"INCRBY", odd, "3"},
      {"INCRBYFLOAT", "f", "0.1"},
      {"INCRBYFLOAT", "n", "1e3"},
      {"INCRBYFLOAT", "new", "-3.3333333333333333333"},
      {"INCRBYFLOAT", "l", "1"},
      {"HINCRBYFLOAT", "h", "f", "0.1"},
      {"HINCRBYFLOAT", "new", std::string("\r\n", 2), "1e-3"},
      {"MSET", "n", "1", "new", "2"},
      {"MSETNX", "new", "1", "newer", "2"},
      {"SETRANGE", "text", "10", "x"},
      {"BITFIELD", "text", "INCRBY", "u8", "0", "1"},
      {"BITOP", "XOR", "new", "text", "n"},
      {"SETBIT", "text", "100", "1"},
      {"BLMOVE", "l", "l2", "LEFT", "RIGHT", "1"},
      {"BLMPOP", "1", "2", "none", "l", "LEFT", "COUNT", "2"},
      {"BLPOP", "none", "l", "1"},
      {"BRPOP", "l", "1"},
      {"BRPOPLPUSH", "l", "l2", "1"},
      {"LINSERT", "l", "BEFORE", "1", "new"},
      {"LMOVE", "l", "l2", "LEFT", "RIGHT"},
      {"LMPOP", "2", "none", "l", "RIGHT", "COUNT", "2"},
      {"LPOP", "l"},
      {"LPOP", "l", "10"},
      {"LPUSH", "l", "a", "b"},
      {"LPUSHX", "l", "a"},
      {"LREM", "l", "1", "1"},
      {"LSET", "l", "0", "new"},
      {"LTRIM", "l", "1", "2"},
      {"RPOP", "l"},
      {"RPOPLPUSH", "l", "l"},
      {"RPUSH", "l", "a"},
      {"RPUSHX", "none", "a"},
      {"SADD", "s", "new"},
      {"SDIFFSTORE", "new", "s", "s2"},
      {"SINTERSTORE", "new", "s", "s2"},
      {"SUNIONSTORE", "new", "s", "s2"},
      {"SMOVE", "s", "s2", "c"},
      {"SREM", "s", "a"},
      {"SPOP", "s"},
      {"SPOP", "none"},
      {"SPOP", "s", "0"},
      {"SPOP", "s", "3"},
      {"SPOP", "ints"},
      {"SPOP", "ints", "2"},
      {"SPOP", "ints", "100"},
      {"SPOP", "none", "3"},
      {"SPOP", "l"},
      {"BZMPOP", "1", "1", "z", "MAX", "COUNT", "2"},
      {"BZPOPMAX", "none", "z", "1"},
      {"BZPOPMIN", "z", "1"},
      {"ZADD", "z", "GT", "CH", "9", "a"},
      {"ZADD", "z", "INCR", "0.1", "a"},
      {"ZDIFFSTORE", "new", "2", "z", "z2"},
      {"ZINCRBY", "z", "0.7", "a"},
      {"ZINTERSTORE", "new", "2", "z", "z2", "WEIGHTS", "2", "3"},
      {"ZUNIONSTORE", "new", "2", "z", "s", "AGGREGATE", "MAX"},
      {"ZMPOP", "1", "z", "MIN"},
      {"ZPOPMAX", "z", "2"},
      {"ZPOPMIN", "z"},
      {"ZRANGESTORE", "new", "z", "0", "1"},
      {"ZREM", "z", "a"},
      {"ZREMRANGEBYLEX", "z", "-", "+"},
      {"ZREMRANGEBYRANK", "z", "0", "1"},
      {"ZREMRANGEBYSCORE", "z", "2", "3"},
      {"HDEL", "h", "f"},
      {"HINCRBY", "h", "g", "5"},
      {"HMSET", "h", "new", "1"},
      {"HSET", "h", "new", "1"},
      {"HSETNX", "h", "f", "1"},
      {"PFADD", "hll", "x"},
      {"PFMERGE", "hll", "hll2"},
      {"PFDEBUG", "TODENSE", "hll"},
      {"GEOADD", "geo", "10", "10", "new"},
      {"GEORADIUS", "geo", "15", "37", "200", "km", "STORE", "new"},
      {"GEORADIUS", "geo", "15", "37", "200", "km", "COUNT", "1", "ANY", "STOREDIST", "new"},
      {"GEORADIUSBYMEMBER", "geo", "p", "500", "km", "STORE", "new"},
      {"GEOSEARCHSTORE", "new", "geo", "FROMMEMBER", "p", "BYRADIUS", "500", "km"},
      {"SORT", "ints", "DESC", "STORE", "new"},
      {"SORT", "ints", "BY", "w_*", "LIMIT", "0", "2", "STORE", "new"},
      {"SORT", "s2", "BY", "nosort", "GET", "w_*", "GET", "#", "STORE", "l"},
      {"SORT", "none", "BY", "w_*", "STORE", "l"},
      {"SORT", "s", "ALPHA", "LIMIT", "1", "2"},
      {"XADD", "st", "*", "f", "v"},
      {"XADD", "new", "*", "f", std::string("\r\n\0", 3), "g", ""},
      {"XADD", "none", "NOMKSTREAM", "*", "f", "v"},
      {"XADD", "none", "NOMKSTREAM", "MAXLEN", "~", "5", "*", "f", "v"},
      {"XADD", "st", "nomkstream", "*", "f", "v"},
      {"XADD", "st", "250-*", "f", "v"},
      {"XADD", "st", "999", "f", "v"},
      {"XADD", "st", "999-3", "f", "v"},
      {"XADD", "st", "1-1", "f", "v"},
      {"XADD", "st", "MAXLEN", "10", "*", "f", "v"},
      {"XADD", "st", "MAXLEN", "=", "10", "999-3", "f", "v"},
      {"XADD", "st", "MINID", "200", "*", "f", "v"},
      {"XADD", "st", "MAXLEN", "~", "100", "*", "f", "v"},
      {"XADD", "st", "MAXLEN", "~", "1000", "*", "f", "v"},
      {"XADD", "st", "maxlen", "~", "0", "limit", "100", "999-3", "*", "~"},
      {"XADD", "st", "MINID", "~", "201-1", "LIMIT", "0", "*", "f", "v"},
      {"XTRIM", "st", "MAXLEN", "10"},
      {"XTRIM", "st", "MINID", "=", "100"},
      {"XTRIM", "st", "MAXLEN", "~", "100"},
      {"XTRIM", "st", "MAXLEN", "~", "1000"},
      {"XTRIM", "st", "MINID", "~", "150", "LIMIT", "100"},
      {"XTRIM", "none", "MAXLEN", "~", "10"},
      {"XDEL", "st", "3-1", "100-1"},
      {"XSETID", "st", "999-9"},
      {"XACK", "st", "g", "1-1", "99-1"},
      {"XGROUP", "CREATE", "st", "g2", "$"},
      {"XGROUP", "CREATE", "new", "g", "0", "MKSTREAM"},
      {"XGROUP", "CREATECONSUMER", "st", "g", "c9"},
      {"XGROUP", "DELCONSUMER", "st", "g", "c1"},
      {"XGROUP", "DESTROY", "st", "g"},
      {"XGROUP", "SETID", "st", "g", "5-1"},
      {"XREADGROUP", "GROUP", "g", "c2", "COUNT", "5", "STREAMS", "st", ">"},
      {"XREADGROUP", "GROUP", "g", "c2", "NOACK", "BLOCK", "1", "STREAMS", "st", ">"},
      {"XREADGROUP", "GROUP", "g", "c1", "COUNT", "5", "STREAMS", "st", "0"},
      {"XCLAIM", "st", "g", "c2", "0", "1-1", "2-1", "3-1", "99-1"},
      {"XCLAIM", "st", "g", "c2", "500000", "1-1", "3-1"},
      {"XCLAIM", "st", "g", "c2", "500000", "1", "1-1", "1-1", "2-1", "3-1", "10-1", "99-1"},
      {"XCLAIM", "st", "g", "c2", "500000", "10-1", "11-1"},
      {"XCLAIM", "st", "g", "c2", "500000", "10-1", "2-1", "LASTID", "200-1"},
      {"XCLAIM", "st", "g", "c2", "500000", "1-1", "10-1", "99-1", "2-1", "FORCE", "JUSTID"},
      {"XCLAIM", "st", "g", "c2", "500000", "1-1", "1-1", "idle", "600000", "retrycount", "7"},
      {"XCLAIM", "st", "g", "c2", "500000", "1-1", "5-1", "TIME", "1000", "LASTID", "200-1"},
      {"XAUTOCLAIM", "st", "g", "c2", "0", "0", "COUNT", "3"},
      {"XAUTOCLAIM", "st", "g", "c2", "500000", "0"},
      {"XAUTOCLAIM", "st", "g", "c2", "500000", "-", "COUNT", "2"},
      {"XAUTOCLAIM", "st", "g", "c2", "500000", "2-1", "COUNT", "2", "JUSTID"},
      {"XAUTOCLAIM", "st", "g", "c2", "500000", "6-2"},
      {"XAUTOCLAIM", "st", "g", "c2", "500000", "7-1", "COUNT", "1"},
      {"XAUTOCLAIM", "st", "g", "c2", "990000", "0"},
      {"EVAL", "return redis.call('SET', KEYS[1], ARGV[1])", "1", "n", "x"},
      {"EVAL", "return redis.call('INCRBYFLOAT', KEYS[1], ARGV[1])", "1", "n", "0.1"},
      {"SCRIPT", "LOAD", "return 1"},
      {"SCRIPT", "FLUSH"},
      {"FUNCTION", "LOAD", "#!lua name=x\nredis.register_function('x', function() return 1 end)"},
      {"FUNCTION", "DELETE", "x"},
      {"FUNCTION", "FLUSH"},
      {"FUNCTION", "RESTORE", "bad"},
      {"SWAPDB", "0", "1"},
      {"FLUSHDB"},
      {"FLUSHALL"},
  };
}

// Commands that no pair of servers here can be asked to run, or whose equality is not promised.
const std::set<std::string> kApart{"migrate", "evalsha", "fcall", "multi",
                                   "exec",    "discard", "watch", "unwatch"};

const CommandTable& without_pexpiretime() {
  static const CommandTable table = [] {
    std::vector<CommandSpec> specs = CommandTable::built_in()->specs();
    std::erase_if(specs, [](const CommandSpec& spec) { return spec.name == "pexpiretime"; });
    return CommandTable(std::move(specs));
  }();
  return table;
}

TEST_CASE("replay: every form of every write leaves two equal servers equal") {
  Pair pair;
  std::map<Replay, int> seen;
  const auto check = [&](const Client& client, const Words& words) {
    CAPTURE(resp(words));
    fill(pair.first);
    fill(pair.second);
    const Replay replay = run(client, pair, words);
    check_equal(state_of(pair.first), state_of(pair.second));
    return replay;
  };
  for (const Words& words : forms()) {
    const Replay replay = check({*CommandTable::built_in(), ""}, words);
    ++seen[replay];
    // What depends on a reply does so in either protocol, and on whatever can be asked.
    if (replay == Replay::Same) continue;
    check({*CommandTable::built_in(), resp({"HELLO", "3"})}, words);
    check({without_pexpiretime(), ""}, words);
  }
  for (const Replay replay : {Replay::Same, Replay::Expiry, Replay::Made, Replay::Copy}) {
    CHECK(seen[replay] > 0);
  }
  CHECK(seen[Replay::Suspect] == 0);
}

TEST_CASE("replay: two servers stay equal through any sequence of writes") {
  Pair pair;
  fill(pair.first);
  fill(pair.second);
  std::mt19937 random(20'250'301);  // a fixed seed: the same sequence in every run
  std::vector<Words> writes = forms();
  // Not what leaves little to go on with, nor what may wait for a client that has said its last.
  std::erase_if(writes, [](const Words& words) {
    return words[0].starts_with("FLUSH") || words[0] == "UNLINK" || words[0] == "SWAPDB" ||
           CommandTable::built_in()->find(words[0])->blocks;
  });
  const Client clients[] = {{*CommandTable::built_in(), ""},
                            {*CommandTable::built_in(), resp({"HELLO", "3"})}};
  constexpr int kRounds = 100, kWritesEach = 50;
  for (int round = 0; round < kRounds; ++round) {
    if (round % 2 == 0) {
      fill(pair.first);
      fill(pair.second);
    }
    for (int i = 0; i < kWritesEach; ++i) {
      const Words& words = writes[random() % writes.size()];
      CAPTURE(resp(words));
      (void)run(clients[random() % 2], pair, words);
    }
    CAPTURE(round);
    check_equal(state_of(pair.first), state_of(pair.second));
  }
}

TEST_CASE("replay: there is a form of every write here") {
  std::set<std::string> tried = kApart;
  for (const Words& words : forms()) {
    const CommandSpec* spec = CommandTable::built_in()->find(words[0]);
    REQUIRE(spec != nullptr);
    if (spec->has_subcommands) spec = CommandTable::built_in()->find(words[0], words[1]);
    REQUIRE(spec != nullptr);
    tried.insert(spec->name);
  }
  for (const CommandSpec& spec : CommandTable::built_in()->specs()) {
    if (spec.kind == Kind::Write) CHECK_MESSAGE(tried.contains(spec.name), spec.name);
  }
}

}  // namespace
}  // namespace crossfade::redis
