// Repeating writes: which of them how, what is asked behind them, and what is made of the answers.
#include "protocols/redis/replay.h"

#include <doctest/doctest.h>

#include "tests/unit/protocols/redis/bytes.h"

namespace crossfade::redis {
namespace {

using Views = std::vector<std::string_view>;

Views views(const Words& words) { return {words.begin(), words.end()}; }

const CommandSpec* spec_of(const Words& words) {
  const CommandTable& table = *CommandTable::built_in();
  const CommandSpec* const spec = table.find(words[0]);
  return spec != nullptr && spec->has_subcommands ? table.find(words[0], words[1]) : spec;
}

Replay replay_for(const Words& words, bool whole = true) {
  return replay_of(spec_of(words), views(words), whole);
}

struct Questions {
  std::uint32_t count;
  std::string bytes;
  bool operator==(const Questions&) const = default;
};
Questions questions_for(const Words& words, const Words& keys,
                        const CommandTable& table = *CommandTable::built_in()) {
  Questions questions{0, ""};
  questions.count = append_questions(replay_for(words), spec_of(words), views(words), views(keys),
                                     table, questions.bytes);
  return questions;
}

CommandTable old_table() {  // before Redis 7 there was no PEXPIRETIME
  return CommandTable({*CommandTable::built_in()->find("pttl")});
}

// What repeats `words` whose first leg was answered so; "?" when that cannot be told.
std::string repeat(const Words& words, const Words& keys, std::string_view reply,
                   const Words& answers = {}) {
  const Views args = views(words), key_views = views(keys), answer_views = views(answers);
  const Done done{.spec = spec_of(words),
                  .args = args,
                  .keys = key_views,
                  .reply = reply,
                  .answers = answer_views};
  std::string out = "before";
  const auto count = append_repeat(replay_for(words), done, out);
  REQUIRE(out.starts_with("before"));
  out.erase(0, std::string_view("before").size());
  if (!count) {
    CHECK(out.empty());
    return "?";
  }
  CHECK(cut_all(out).requests.size() == *count);
  return out;
}

const Words kXadd{"XADD", "k", "*", "f", "v"};

TEST_CASE("replay: the same bytes do wherever the effect follows from data and arguments") {
  for (const Words& words : std::vector<Words>{{"SET", "k", "v"},
                                               {"SET", "EX", "PX"},
                                               {"set", "k", "v", "nx", "get", "keepttl"},
                                               {"GETEX", "k"},
                                               {"GETEX", "ex", "PERSIST"},
                                               {"RESTORE", "k", "0", "x", "REPLACE"},
                                               {"LPUSH", "k", "v"},
                                               {"BLPOP", "k", "0"},
                                               {"XADD", "k", "1-1", "f", "*"},
                                               {"XADD", "k", "MAXLEN", "5", "1-1", "~", "v"},
                                               {"XTRIM", "k", "MAXLEN", "=", "5"},
                                               {"XCLAIM", "k", "g", "c", "0", "1-1"},
                                               {"XAUTOCLAIM", "k", "g", "c", "0", "0"},
                                               {"XREADGROUP", "GROUP", "g", "c", "STREAMS", "k"},
                                               {"SORT", "k", "BY", "w_*", "GET", "#"},
                                               {"ZRANGESTORE", "d", "k", "1", "5", "BYSCORE"},
                                               {"FLUSHALL"},
                                               {"SCRIPT", "LOAD", "math.random()"},
                                               {"EVAL", "return 1", "0"},
                                               {"EVAL", "return 1", "1", "user:time"},
                                               {"GET", "k"},
                                               {"PUBLISH", "c", "m"},
                                               {"SELECT", "1"},
                                               {"EVAL_RO", "return redis.call('TIME')", "0"}}) {
    CHECK_MESSAGE(replay_for(words) == Replay::Same, resp(words));
    CHECK(questions_for(words, {"k"}) == Questions{0, ""});
    CHECK(repeat(words, {"k"}, "+OK\r\n").empty());
  }
}

TEST_CASE("replay: an expiry that a key may get is known, and where it counts from now it is set") {
  for (const Words& words : std::vector<Words>{{"SET", "k", "v", "EX", "5"},
                                               {"set", "k", "v", "get", "pX", "5"},
                                               {"SETEX", "k", "5", "v"},
                                               {"PSETEX", "k", "5", "v"},
                                               {"GETEX", "k", "ex", "5"},
                                               {"EXPIRE", "k", "5", "NX"},
                                               {"PEXPIRE", "k", "5"},
                                               {"SET", "k", "v", "EXAT", "1"},
                                               {"GETEX", "k", "PXAT", "1"},
                                               {"PEXPIREAT", "k", "1"},
                                               {"MOVE", "k", "1"},
                                               {"RESTORE", "k", "5", "x", "AbsTtl"},
                                               {"RESTORE", "k", "5", "x"},
                                               {"RESTORE", "k", "5", "ABSTTL"}}) {
    CHECK_MESSAGE(replay_for(words) == Replay::Expiry, resp(words));
    CHECK(questions_for(words, {"k"}) == Questions{1, resp({"PEXPIRETIME", "k"})});
    CHECK(questions_for(words, {"k"}, old_table()) ==
          Questions{2, resp({"TIME"}) + resp({"PTTL", "k"})});
    CHECK(repeat(words, {"k"}, "+OK\r\n", {":1700000000123\r\n"}) ==
          resp({"PEXPIREAT", "k", "1700000000123"}));
    CHECK(repeat(words, {"k"}, "+OK\r\n", {":-1\r\n"}) == resp({"PERSIST", "k"}));
    CHECK(repeat(words, {"k"}, "+OK\r\n", {":-2\r\n"}) == resp({"DEL", "k"}));
  }
}

TEST_CASE("replay: a key that another becomes may bring its expiry along") {
  for (const Words& words :
       std::vector<Words>{{"RENAME", "k", "d"}, {"RENAMENX", "k", "d"}, {"COPY", "k", "d"}}) {
    CHECK_MESSAGE(replay_for(words) == Replay::Expiry, resp(words));
    CHECK(questions_for(words, {"k", "d"}) ==
          Questions{2, resp({"PEXPIRETIME", "k"}) + resp({"PEXPIRETIME", "d"})});
    CHECK(repeat(words, {"k", "d"}, "+OK\r\n", {":-2\r\n", ":5\r\n"}) ==
          resp({"DEL", "k"}) + resp({"PEXPIREAT", "d", "5"}));
  }
}

TEST_CASE("replay: where only the time left is known, it is counted from the server's own clock") {
  const Words set{"SETEX", "k", "5", "v"};
  const std::string time = "*2\r\n$10\r\n1700000000\r\n$6\r\n123999\r\n";
  CHECK(repeat(set, {"k"}, "+OK\r\n", {time, ":5000\r\n"}) ==
        resp({"PEXPIREAT", "k", "1700000005123"}));
  CHECK(repeat(set, {"k"}, "+OK\r\n", {time, ":0\r\n"}) ==
        resp({"PEXPIREAT", "k", "1700000000123"}));
  CHECK(repeat(set, {"k"}, "+OK\r\n", {time, ":-1\r\n"}) == resp({"PERSIST", "k"}));
  CHECK(repeat(set, {"k"}, "+OK\r\n", {time, ":-2\r\n"}) == resp({"DEL", "k"}));
  for (const char* bad :
       {"*1\r\n$1\r\n1\r\n", "*2\r\n$1\r\nx\r\n$1\r\n1\r\n", "*0\r\n", "*2\r\n$1\r\n1\r\n$-1\r\n",
        "*2\r\n$16\r\n1700000000000000\r\n$1\r\n1\r\n"}) {
    CHECK(repeat(set, {"k"}, "+OK\r\n", {bad, ":1\r\n"}) == "?");
  }
  CHECK(repeat(set, {"k"}, "+OK\r\n", {time, ":9223372036854775807\r\n"}) == "?");
  CHECK(repeat(set, {"k"}, "+OK\r\n", {time}) == "?");
}

TEST_CASE("replay: chance is repeated by what came of it") {
  for (const Words& words :
       std::vector<Words>{{"SPOP", "k"},
                          {"SPOP", "k", "2"},
                          {"INCRBYFLOAT", "k", "1"},
                          {"HINCRBYFLOAT", "k", "f", "1"},
                          kXadd,
                          {"XADD", "k", "5-*", "f", "v"},
                          {"XADD", "k", "MAXLEN", "~", "5", "1-1", "f", "v"},
                          {"XADD", "k", "NOMKSTREAM", "MINID", "5", "*", "f", "v"},
                          {"XTRIM", "k", "MAXLEN", "~", "5"},
                          {"XCLAIM", "k", "g", "c", "5", "1-1"},
                          {"XAUTOCLAIM", "k", "g", "c", "5", "0"}}) {
    CHECK_MESSAGE(replay_for(words) == Replay::Made, resp(words));
  }
}

TEST_CASE("replay: SPOP becomes SREM of what was popped, in either protocol") {
  const std::string odd("k\r\n\0\xff", 5);
  CHECK(repeat({"SPOP", odd}, {odd}, "$3\r\na\r\n\r\n") == resp({"SREM", odd, "a\r\n"}));
  CHECK(repeat({"SPOP", "k", "2"}, {"k"}, "*2\r\n$1\r\na\r\n$0\r\n\r\n") ==
        resp({"SREM", "k", "a", ""}));
  CHECK(repeat({"SPOP", "k", "1"}, {"k"}, "~1\r\n$1\r\na\r\n") == resp({"SREM", "k", "a"}));
  for (const char* nothing : {"$-1\r\n", "_\r\n", "*0\r\n", "~0\r\n"}) {
    CHECK(repeat({"SPOP", "k"}, {"k"}, nothing).empty());
  }
  for (const char* odd_reply : {":1\r\n", "*1\r\n:1\r\n", "*1\r\n_\r\n", "*2\r\n$1\r\na\r\n", ""}) {
    CHECK(repeat({"SPOP", "k"}, {"k"}, odd_reply) == "?");
  }
}

TEST_CASE("replay: what was popped goes into as many SREMs as a server takes arguments") {
  constexpr std::size_t kPopped = 2'500'000;
  std::string reply = "*" + std::to_string(kPopped) + "\r\n";
  for (std::size_t i = 0; i < kPopped; ++i) reply += "$1\r\na\r\n";
  const Cutting cutting = cut_all(repeat({"SPOP", "k", "2500000"}, {"k"}, reply));
  REQUIRE(cutting.requests.size() == 3);
  std::size_t members = 0;
  for (const Words& words : cutting.requests) {
    CHECK(words.size() <= 1'000'000);
    members += words.size() - 2;
  }
  CHECK(members == kPopped);
}

TEST_CASE("replay: a float is set to what came out") {
  CHECK(repeat({"INCRBYFLOAT", "k", "1"}, {"k"}, "$4\r\n10.6\r\n") ==
        resp({"SET", "k", "10.6", "KEEPTTL"}));
  CHECK(repeat({"HINCRBYFLOAT", "k", "f", "1"}, {"k"}, "$3\r\n1.5\r\n") ==
        resp({"HSET", "k", "f", "1.5"}));
  // Of a double it is not known how the server writes it into the key.
  CHECK(repeat({"INCRBYFLOAT", "k", "1"}, {"k"}, ",10.6\r\n") == "?");
  CHECK(repeat({"INCRBYFLOAT", "k", "1"}, {"k"}, "$-1\r\n") == "?");
}

TEST_CASE("replay: XADD is repeated with the id that it got") {
  CHECK(repeat(kXadd, {"k"}, "$3\r\n5-1\r\n") == resp({"XADD", "k", "5-1", "f", "v"}));
  CHECK(repeat({"xadd", "k", "nomkstream", "maxlen", "5", "5-*", "*", "~"}, {"k"},
               "$3\r\n5-1\r\n") == resp({"xadd", "k", "maxlen", "5", "5-1", "*", "~"}));
  CHECK(repeat({"XADD", "k", "MINID", "=", "5", "*", "f", "v"}, {"k"}, "$3\r\n5-1\r\n") ==
        resp({"XADD", "k", "MINID", "=", "5", "5-1", "f", "v"}));
  for (const char* null : {"$-1\r\n", "_\r\n"}) {
    CHECK(repeat({"XADD", "k", "NOMKSTREAM", "*", "f", "v"}, {"k"}, null).empty());
  }
  for (const char* no_id : {"$1\r\n*\r\n", "$1\r\n5\r\n", ":5\r\n", "*0\r\n", "+\r\n"}) {
    CHECK(repeat(kXadd, {"k"}, no_id) == "?");
  }
}

TEST_CASE("replay: trimming about so far is repeated as exactly as it went") {
  const Words add{"XADD", "k", "MAXLEN", "~", "5", "LIMIT", "9", "*", "f", "v"};
  CHECK(questions_for(add, {"k"}) == Questions{1, resp({"XLEN", "k"})});
  CHECK(repeat(add, {"k"}, "$3\r\n5-1\r\n", {":77\r\n"}) ==
        resp({"XADD", "k", "MAXLEN", "=", "77", "5-1", "f", "v"}));
  CHECK(repeat({"XADD", "k", "MINID", "~", "5-1", "9-1", "f", "v"}, {"k"}, "$3\r\n9-1\r\n",
               {":77\r\n"}) == resp({"XADD", "k", "MAXLEN", "=", "77", "9-1", "f", "v"}));
  const Words trim{"XTRIM", "k", "MINID", "~", "5-1", "LIMIT", "9"};
  CHECK(questions_for(trim, {"k"}) == Questions{1, resp({"XLEN", "k"})});
  CHECK(repeat(trim, {"k"}, ":100\r\n", {":77\r\n"}) == resp({"XTRIM", "k", "MAXLEN", "=", "77"}));
  CHECK(repeat(trim, {"k"}, ":0\r\n", {":77\r\n"}).empty());
  for (const char* bad : {"-ERR\r\n", "$2\r\n77\r\n", ":-1\r\n"}) {
    CHECK(repeat(add, {"k"}, "$3\r\n5-1\r\n", {bad}) == "?");
    CHECK(repeat(trim, {"k"}, ":100\r\n", {bad}) == "?");
  }
  CHECK(repeat(add, {"k"}, "$3\r\n5-1\r\n") == "?");
  CHECK(questions_for(kXadd, {"k"}) == Questions{0, ""});
}

TEST_CASE("replay: what was claimed is claimed, and what is deleted is dropped") {
  const Words claim{"XCLAIM", "k", "g", "c", "500", "1-1", "2-1", "RETRYCOUNT", "7"};
  const std::string never = "9223372036854775807";
  const std::string rest = resp({"XCLAIM", "k", "g", "c", never, "1-1", "2-1", "RETRYCOUNT", "7"});
  CHECK(repeat(claim, {"k"}, "*2\r\n*2\r\n$3\r\n1-1\r\n*0\r\n*2\r\n$3\r\n2-1\r\n*0\r\n") ==
        resp({"XCLAIM", "k", "g", "c", "0", "1-1", "2-1", "RETRYCOUNT", "7", "FORCE"}));
  CHECK(repeat(claim, {"k"}, "*1\r\n$3\r\n2-1\r\n") ==
        resp({"XCLAIM", "k", "g", "c", "0", "2-1", "RETRYCOUNT", "7", "FORCE"}) + rest);
  CHECK(repeat(claim, {"k"}, "*0\r\n") == rest);
  // Redis 6 claims what is deleted, and says null.
  CHECK(repeat(claim, {"k"}, "*1\r\n$-1\r\n") == "?");
  CHECK(repeat(claim, {"k"}, "*1\r\n*-1\r\n") == "?");
  CHECK(repeat(claim, {"k"}, "*1\r\n*0\r\n") == "?");
  CHECK(repeat(claim, {"k"}, "_\r\n") == "?");

  const Words walk{"XAUTOCLAIM", "k", "g", "c", "500", "0", "COUNT", "5", "justid"};
  CHECK(repeat(walk, {"k"}, "*3\r\n$3\r\n0-0\r\n*1\r\n$3\r\n1-1\r\n*1\r\n$3\r\n2-1\r\n") ==
        resp({"XCLAIM", "k", "g", "c", "0", "1-1", "JUSTID", "FORCE"}) +
            resp({"XACK", "k", "g", "2-1"}));
  CHECK(repeat({"XAUTOCLAIM", "k", "g", "c", "500", "0"}, {"k"},
               "*3\r\n$3\r\n0-0\r\n*1\r\n*2\r\n$3\r\n1-1\r\n*2\r\n+a\r\n+b\r\n*0\r\n") ==
        resp({"XCLAIM", "k", "g", "c", "0", "1-1", "FORCE"}));
  CHECK(repeat(walk, {"k"}, "*3\r\n$3\r\n0-0\r\n*0\r\n*1\r\n$3\r\n2-1\r\n") ==
        resp({"XAUTOCLAIM", "k", "g", "c", never, "0", "COUNT", "5", "justid"}));
  CHECK(repeat(walk, {"k"}, "*2\r\n$3\r\n0-0\r\n*0\r\n") == "?");
}

TEST_CASE("replay: what reads or writes more than it says is copied, key by key") {
  const Words sort{"SORT", "k", "BY", "w_*", "STORE", "d"};
  for (const Words& words : std::vector<Words>{sort,
                                               {"sort", "k", "STORE", "d", "get", "w_*"},
                                               {"MIGRATE", "h", "1", "k", "0", "1"},
                                               {"PFDEBUG", "TODENSE", "k"},
                                               {"ZREMRANGEBYLEX", "k", "[2", "[21"},
                                               {"zrangestore", "d", "k", "[a", "+", "bylex"},
                                               {"RESTORE-ASKING", "k", "0", "x"}}) {
    CHECK_MESSAGE(replay_for(words) == Replay::Copy, resp(words));
  }
  CHECK(questions_for(sort, {"k", "d"}) ==
        Questions{4, resp({"DUMP", "k"}) + resp({"PEXPIRETIME", "k"}) + resp({"DUMP", "d"}) +
                         resp({"PEXPIRETIME", "d"})});
  CHECK(
      repeat(sort, {"k", "d"}, ":1\r\n", {"$3\r\nx\r\n\r\n", ":-1\r\n", "$1\r\ny\r\n", ":5\r\n"}) ==
      resp({"RESTORE", "k", "0", "x\r\n", "REPLACE", "ABSTTL"}) +
          resp({"RESTORE", "d", "5", "y", "REPLACE", "ABSTTL"}));
  CHECK(repeat(sort, {"k", "d"}, ":1\r\n", {"$-1\r\n", ":-2\r\n", "_\r\n", ":-2\r\n"}) ==
        resp({"DEL", "k"}) + resp({"DEL", "d"}));
  // It expired between the two questions.
  CHECK(repeat(sort, {"k"}, ":1\r\n", {"$1\r\nx\r\n", ":-2\r\n"}) == resp({"DEL", "k"}));
  const std::string time = "*2\r\n$1\r\n1\r\n$4\r\n5000\r\n";
  CHECK(questions_for(sort, {"k"}, old_table()) ==
        Questions{3, resp({"DUMP", "k"}) + resp({"TIME"}) + resp({"PTTL", "k"})});
  CHECK(repeat(sort, {"k"}, ":1\r\n", {"$1\r\nx\r\n", time, ":10\r\n"}) ==
        resp({"RESTORE", "k", "1015", "x", "REPLACE", "ABSTTL"}));
}

TEST_CASE("replay: an answer that is an error, of another form, or missing tells nothing") {
  const Words sort{"SORT", "k", "BY", "w_*", "STORE", "d"};
  for (const Words& answers : std::vector<Words>{{},
                                                 {"$1\r\nx\r\n"},
                                                 {"-NOPERM\r\n", ":-1\r\n"},
                                                 {"$1\r\nx\r\n", "-NOPERM\r\n"},
                                                 {"!3\r\nERR\r\n", ":-1\r\n"},
                                                 {"$1\r\nx\r\n", ":-3\r\n"},
                                                 {"$1\r\nx\r\n", "$2\r\n-1\r\n"},
                                                 {"$1\r\nx", ":-1\r\n"}}) {
    CHECK(repeat(sort, {"k"}, ":1\r\n", answers) == "?");
  }
  CHECK(repeat(sort, {}, ":1\r\n") == "?");
  // The first key's commands are taken back when the second's cannot be made.
  CHECK(repeat(sort, {"k", "d"}, ":1\r\n", {"$1\r\nx\r\n", ":-1\r\n", "-ERR\r\n", ":-1\r\n"}) ==
        "?");
  for (const char* bad : {"-ERR\r\n", "", ":-3\r\n", "$1\r\n5\r\n", "_\r\n"}) {
    CHECK(repeat({"SETEX", "k", "5", "v"}, {"k"}, "+OK\r\n", {bad}) == "?");
  }
}

TEST_CASE("replay: a write of a module is copied when it has keys, else suspected") {
  CommandSpec with_keys;
  with_keys.name = "json.set";
  with_keys.keys.push_back({});
  CommandSpec without;
  without.name = "ft.create";
  const Words words{"JSON.SET", "k", "$", "1"};
  CHECK(replay_of(&with_keys, views(words), true) == Replay::Copy);
  CHECK(replay_of(&without, views(words), true) == Replay::Suspect);
  CHECK(replay_of(nullptr, views(words), true) == Replay::Suspect);
  with_keys.kind = Kind::Read;
  CHECK(replay_of(&with_keys, views(words), true) == Replay::Same);
}

TEST_CASE("replay: a learned table knows of the built-in one how commands are repeated") {
  std::vector<CommandReplyEntry> reply(2);
  for (CommandReplyEntry& entry : reply) {
    entry.name = &entry == &reply[0] ? "set" : "hexpire";
    entry.flags = {"write"};
    entry.first_key = entry.last_key = entry.key_step = 1;
  }
  const auto table = learn_commands(reply);
  const Words words{"SET", "k", "v", "EX", "1"};
  CHECK(replay_of(table->find("set"), views(words), true) == Replay::Expiry);
  CHECK(replay_of(table->find("hexpire"), views(words), true) == Replay::Copy);
}

TEST_CASE("replay: scripts that may hang on chance, or whose text is not here, are suspected") {
  for (const Words& words :
       std::vector<Words>{{"EVAL", "return redis.call('TIME')", "0"},
                          {"EVAL", "redis.call('SET', KEYS[1], 1, ARGV[1], 5)", "1", "k", "ex"},
                          {"EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "1", "k"},
                          {"FCALL", "f", "1", "k"}}) {
    CHECK_MESSAGE(replay_for(words) == Replay::Suspect, resp(words));
    CHECK(questions_for(words, {"k"}) == Questions{0, ""});
    CHECK(repeat(words, {"k"}, "+OK\r\n").empty());
  }
}

TEST_CASE("replay: of a beginning, what may still come counts as there") {
  const auto early = [](const Words& words) { return replay_for(words, false); };
  CHECK(early({"SET", "k"}) == Replay::Expiry);
  CHECK(early({"SET"}) == Replay::Expiry);
  CHECK(early({"GETEX", "k"}) == Replay::Expiry);
  CHECK(early({"RESTORE", "k"}) == Replay::Expiry);
  CHECK(early({"RESTORE", "k", "5"}) == Replay::Expiry);
  CHECK(early({"RESTORE", "k", "0"}) == Replay::Same);
  CHECK(early({"XADD", "k"}) == Replay::Made);
  CHECK(early({"XADD", "k", "MAXLEN", "~"}) == Replay::Made);
  CHECK(early({"XADD", "k", "1-1", "f"}) == Replay::Same);
  CHECK(early({"XTRIM", "k", "MAXLEN"}) == Replay::Made);
  CHECK(early({"XCLAIM", "k", "g", "c"}) == Replay::Made);
  CHECK(early({"SORT", "k"}) == Replay::Copy);
  CHECK(early({"ZRANGESTORE", "d", "k"}) == Replay::Copy);
  CHECK(early({"EVAL", "return 1"}) == Replay::Suspect);
  CHECK(early({"APPEND", "k"}) == Replay::Same);
}

}  // namespace
}  // namespace crossfade::redis
