// Facts: what a request is, from its arguments; and when its beginning is enough to know.
#include "protocols/redis/facts.h"

#include <doctest/doctest.h>

#include "protocols/base/bucket.h"
#include "tests/unit/protocols/redis/bytes.h"

namespace crossfade::redis {
namespace {

const CommandTable& commands() { return *CommandTable::built_in(); }

RequestFacts facts_in(const std::string& bytes) {
  RequestCutter cutter;
  REQUIRE(std::holds_alternative<Request>(cutter.advance(bytes)));
  const auto facts = facts_of(commands(), cutter, bytes, true);
  REQUIRE(facts.has_value());
  return *facts;
}
RequestFacts facts_for(const Words& words) { return facts_in(resp(words)); }

Words keys_of(const Words& words) {
  const std::string bytes = resp(words);
  RequestCutter cutter;
  REQUIRE(std::holds_alternative<Request>(cutter.advance(bytes)));
  Words keys;
  const auto facts = facts_of(commands(), cutter, bytes, true);
  REQUIRE(facts->spec != nullptr);
  for_each_key(*facts->spec, cutter, bytes, [&](std::string_view key) { keys.emplace_back(key); });
  CHECK(keys.size() == facts->key_count);
  return keys;
}

TEST_CASE("facts: kind and effect are those of the command, or of its subcommand") {
  CHECK(facts_for({"gEt", "k"}).kind == Kind::Read);
  CHECK(facts_for({"SET", "k", "v"}).kind == Kind::Write);
  CHECK(facts_for({"PUBLISH", "c", "m"}).kind == Kind::Publish);
  CHECK(facts_in("PING\r\n").kind == Kind::Other);
  CHECK(facts_for({"client", "Reply", "OFF"}).effect == Effect::ClientReply);
  CHECK(facts_for({"client", "list"}).effect == Effect::None);
  CHECK(facts_for({"debug", "populate", "9"}).kind == Kind::Write);
  CHECK(facts_for({"DEBUG", "RELOAD"}).effect == Effect::Reloads);
  CHECK(facts_for({"DEBUG", "SLEEP", "0"}).kind == Kind::Other);
  CHECK(facts_for({"SCRIPT", "LOAD", "return 1"}).kind == Kind::Write);
  CHECK(facts_for({"SCRIPT", "EXISTS", "x"}).kind == Kind::Other);
  CHECK(facts_for({"OBJECT", "ENCODING", "k"}).kind == Kind::Read);
  CHECK(facts_for({"XGROUP", "CREATE", "k", "g", "$"}).kind == Kind::Write);
}

TEST_CASE("facts: what nobody knows is a write without keys, with nothing else said") {
  for (const Words& words : {Words{"NOSUCHCOMMAND", "a"}, Words{""},
                             Words{std::string(100'000, 'x')}, Words{"client|list"}}) {
    const RequestFacts facts = facts_for(words);
    CHECK(facts.spec == nullptr);
    CHECK(facts.kind == Kind::Write);
    CHECK(facts.key_count == 0);
    CHECK_FALSE(facts.blocks);
  }
}

TEST_CASE("facts: a container alone, or with a subcommand nobody knows, is its container") {
  for (const Words& words : {Words{"CLIENT"}, Words{"CLIENT", "NOSUCH"}, Words{"CLIENT", ""}}) {
    const RequestFacts facts = facts_for(words);
    REQUIRE(facts.spec != nullptr);
    CHECK(facts.spec->name == "client");
    CHECK(facts.kind == Kind::Other);
  }
}

TEST_CASE("facts: buckets span the buckets of all keys") {
  const RequestFacts one = facts_for({"GET", "a"});
  CHECK(one.key_count == 1);
  CHECK(one.bucket_low == bucket_of("a"));
  CHECK(one.bucket_high == bucket_of("a"));
  const RequestFacts many = facts_for({"MGET", "a", "b", "c", "d"});
  CHECK(many.key_count == 4);
  std::uint32_t low = kWhole, high = 0;
  for (const char* key : {"a", "b", "c", "d"}) {
    low = std::min(low, bucket_of(key));
    high = std::max(high, bucket_of(key));
  }
  CHECK(many.bucket_low == low);
  CHECK(many.bucket_high == high);
}

TEST_CASE("facts: keys that share a hash tag share a bucket, as in Redis Cluster") {
  CHECK(key_bucket("{user1}:name") == bucket_of("user1"));
  CHECK(key_bucket("a{user1}b{user2}") == bucket_of("user1"));
  CHECK(key_bucket("{{user1}}") == bucket_of("{user1"));
  for (const char* untagged : {"", "user", "{}user", "{user", "user}", "}user{", "a{}{b}"}) {
    CHECK_MESSAGE(key_bucket(untagged) == bucket_of(untagged), untagged);
  }
  const RequestFacts facts = facts_for({"MSET", "{t}a", "1", "b{t}", "2"});
  CHECK(facts.bucket_low == facts.bucket_high);
}

TEST_CASE("facts: only what may wait blocks, and streams only when asked to") {
  CHECK(facts_for({"BLPOP", "k", "0"}).blocks);
  CHECK(facts_for({"WAIT", "0", "0"}).blocks);
  CHECK_FALSE(facts_for({"LPOP", "k"}).blocks);
  CHECK(facts_for({"XREAD", "COUNT", "1", "block", "0", "STREAMS", "k", "$"}).blocks);
  CHECK(facts_for({"XREADGROUP", "GROUP", "g", "c", "NOACK", "BLOCK", "1", "STREAMS", "k", ">"})
            .blocks);
  CHECK_FALSE(facts_for({"XREAD", "STREAMS", "block", "0"}).blocks);
  CHECK_FALSE(facts_for({"XREADGROUP", "GROUP", "block", "block", "STREAMS", "k", ">"}).blocks);
  CHECK_FALSE(facts_for({"XREAD", "COUNT", "BLOCK", "STREAMS", "k", "0"}).blocks);
  CHECK_FALSE(facts_for({"XREAD", "COUNT", "1", "BLOCK"}).blocks);
}

TEST_CASE("facts: cursors are told apart from the beginning of a scan") {
  CHECK(facts_for({"SCAN", "0"}).cursor_starts);
  CHECK_FALSE(facts_for({"SCAN", "17"}).cursor_starts);
  CHECK(facts_for({"SCAN", "17"}).cursor);
  CHECK(facts_for({"HSCAN", "0", "17", "COUNT", "0"}).cursor);
  CHECK_FALSE(facts_for({"HSCAN", "0", "17"}).cursor_starts);
  CHECK(facts_for({"HSCAN", "17", "0"}).cursor_starts);
  CHECK_FALSE(facts_for({"GET", "0"}).cursor);
}

TEST_CASE("facts: replies that depend on chance, clock or order are not comparable") {
  for (const Words& words : {Words{"SRANDMEMBER", "k"}, Words{"TTL", "k"}, Words{"HGETALL", "k"},
                             Words{"OBJECT", "FREQ", "k"}, Words{"MEMORY", "USAGE", "k"},
                             Words{"KEYS", "*"}, Words{"PUBLISH", "c", "m"}}) {
    CHECK_MESSAGE(!facts_for(words).comparable, words[0]);
  }
  for (const Words& words :
       {Words{"GET", "k"}, Words{"ZRANGE", "k", "0", "1"}, Words{"EXPIRETIME", "k"}}) {
    CHECK_MESSAGE(facts_for(words).comparable, words[0]);
  }
}

TEST_CASE("facts: order and clock leave the meaning of a reply comparable, chance does not") {
  for (const Words& words : {Words{"SMEMBERS", "k"}, Words{"HGETALL", "k"}, Words{"KEYS", "*"},
                             Words{"TTL", "k"}, Words{"OBJECT", "IDLETIME", "k"}}) {
    CHECK_MESSAGE(facts_for(words).by_meaning, words[0]);
    CHECK_MESSAGE(!facts_for(words).comparable, words[0]);
  }
  for (const Words& words : {Words{"SRANDMEMBER", "k"}, Words{"RANDOMKEY"}, Words{"SPOP", "k"},
                             Words{"OBJECT", "FREQ", "k"}, Words{"DUMP", "k"}, Words{"GET", "k"}}) {
    CHECK_MESSAGE(!facts_for(words).by_meaning, words[0]);
  }
}

TEST_CASE("keys: key specifications of every sort find their arguments") {
  CHECK(keys_of({"GET", "k"}) == Words{"k"});
  CHECK(keys_of({"MSET", "a", "1", "b", "2"}) == Words{"a", "b"});
  CHECK(keys_of({"BLPOP", "a", "b", "0"}) == Words{"a", "b"});
  CHECK(keys_of({"BITOP", "AND", "d", "a", "b"}) == Words{"d", "a", "b"});
  CHECK(keys_of({"EVAL", "return 1", "2", "a", "b", "x"}) == Words{"a", "b"});
  CHECK(keys_of({"EVAL", "return 1", "0", "x"}) == Words{});
  CHECK(keys_of({"ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS", "1", "2"}) == Words{"d", "a", "b"});
  CHECK(keys_of({"XREAD", "COUNT", "2", "STREAMS", "a", "b", "0", "0"}) == Words{"a", "b"});
  CHECK(keys_of({"OBJECT", "ENCODING", "k"}) == Words{"k"});
  CHECK(keys_of({"GEORADIUS", "k", "1", "1", "1", "km", "STORE", "d"}) == Words{"k", "d"});
  CHECK(keys_of({"PFMERGE", "d"}) == Words{"d"});
  CHECK(keys_of({"LCS", "a", "b"}) == Words{"a", "b"});
}

TEST_CASE("keys: SORT stores where its last STORE says, whatever its patterns are called") {
  CHECK(keys_of({"SORT", "k"}) == Words{"k"});
  CHECK(keys_of({"SORT", "k", "BY", "store", "GET", "store", "STORE", "d"}) == Words{"k", "d"});
  CHECK(keys_of({"SORT", "k", "STORE", "c", "LIMIT", "0", "1", "STORE", "d"}) == Words{"k", "d"});
  CHECK(keys_of({"SORT", "k", "STORE"}) == Words{"k"});
}

TEST_CASE("keys: MIGRATE names one key, or many behind KEYS when that one is empty") {
  CHECK(keys_of({"MIGRATE", "h", "1", "", "0", "10", "KEYS"}) == Words{""});
  CHECK(keys_of({"MIGRATE", "h", "1", "k", "0", "10"}) == Words{"k"});
  CHECK(keys_of({"MIGRATE", "h", "1", "k", "0", "10", "KEYS", "a"}) == Words{"k"});
  CHECK(keys_of({"MIGRATE", "h", "1", "", "0", "10", "AUTH", "keys", "KEYS", "a", "b"}) ==
        Words{"a", "b"});
  CHECK(keys_of({"MIGRATE", "h", "1", "", "0", "10", "AUTH2", "u", "keys", "REPLACE", "keys",
                 "a"}) == Words{"a"});
}

bool keys_are_clear(const Words& words) {
  const std::string bytes = resp(words);
  RequestCutter cutter;
  REQUIRE(std::holds_alternative<Request>(cutter.advance(bytes)));
  const auto facts = facts_of(commands(), cutter, bytes, true);
  return for_each_key(*facts->spec, cutter, bytes, [](std::string_view) {});
}

TEST_CASE(
    "keys: positions that the arguments contradict are not clear, and nothing beyond them is "
    "read") {
  for (const Words& words :
       {Words{"GET"}, Words{"EVAL", "s", "2", "a"}, Words{"EVAL", "s", "-1", "a"},
        Words{"EVAL", "s", "x", "a"}, Words{"EVAL", "s", "01", "a"}, Words{"EVAL", "s"},
        Words{"EVAL", "s", "9223372036854775807", "a"},
        Words{"ZUNIONSTORE", "d", "99999999999999999999", "a"}, Words{"RENAME", "a"},
        Words{"BLPOP", "0"}}) {
    CHECK_MESSAGE(!keys_are_clear(words), words[0]);
  }
  for (const Words& words :
       {Words{"GET", "k"}, Words{"PING"}, Words{"EVAL", "s", "0"}, Words{"PFMERGE", "d"}}) {
    CHECK_MESSAGE(keys_are_clear(words), words[0]);
  }
}

// Early facts at every length of `words`: none, or exactly those of the whole; and from where on.
std::size_t known_from(const Words& words) {
  const std::string bytes = resp(words);
  const RequestFacts whole = facts_for(words);
  std::size_t known = bytes.size();
  for (std::size_t size = bytes.size(); size-- > 0;) {
    const std::string arrived = bytes.substr(0, size);
    RequestCutter cutter;
    REQUIRE(std::holds_alternative<NeedMore>(cutter.advance(arrived)));
    const auto early = facts_of(commands(), cutter, arrived, false);
    if (!early) continue;
    CHECK(early->spec == whole.spec);
    CHECK(early->kind == whole.kind);
    CHECK(early->key_count == whole.key_count);
    CHECK(early->bucket_low == whole.bucket_low);
    CHECK(early->bucket_high == whole.bucket_high);
    CHECK(early->blocks == whole.blocks);
    CHECK(early->cursor_starts == whole.cursor_starts);
    CHECK(known == size + 1);  // once known, known to the end
    known = size;
  }
  return known;
}

// Bytes of the message up to the end of its first `count` arguments.
std::size_t size_of_first(const Words& words, std::size_t count) {
  std::size_t size = resp(words).size();
  for (std::size_t i = count; i < words.size(); ++i) size -= bulk(words[i]).size();
  return size;
}

TEST_CASE("early facts: known once the last key has arrived, and equal to those of the whole") {
  const auto known_after = [](const Words& words, std::size_t count) {
    CHECK_MESSAGE(known_from(words) == size_of_first(words, count), words[0]);
  };
  known_after({"SET", "key", "value", "EX", "10"}, 2);
  known_after({"NOSUCH", "a", "b"}, 1);
  known_after({"PING", "hello"}, 1);
  known_after({"CLIENT", "SETNAME", "x"}, 2);
  known_after({"EVAL", "script", "2", "a", "b", "x", "y"}, 5);
  known_after({"EVAL", "script", "0", "x"}, 3);
  known_after({"RESTORE", "key", "0", "payload"}, 2);
  known_after({"BITOP", "AND", "d", "a", "b"}, 5);
  known_after({"MSET", "a", "1", "b", "2"}, 4);
  known_after({"XADD", "k", "*", "f", "v"}, 2);
  known_after({"XREAD", "BLOCK", "0", "STREAMS", "a", "b", "0", "0"}, 6);
  known_after({"XREAD", "COUNT", "1", "BLOCK"}, 3);
  known_after({"HSCAN", "k", "17", "COUNT", "10"}, 3);
  known_after({"SCAN", "0", "COUNT", "10"}, 2);
  known_after({"GEORADIUS", "k", "1", "1", "1", "km", "ASC"}, 2);
  known_after({"GEORADIUS", "k", "1", "1", "1", "km", "ASC", "COUNT", "1"}, 8);
  known_after({"MIGRATE", "h", "1", "k", "0", "10", "REPLACE"}, 4);
}

TEST_CASE("early facts: nothing is known before the command's name") {
  RequestCutter cutter;
  (void)cutter.advance("*3\r\n$3\r\nSE");
  CHECK_FALSE(facts_of(commands(), cutter, "*3\r\n$3\r\nSE", false).has_value());
}

}  // namespace
}  // namespace crossfade::redis
