// Agreement with a real server, by difference: what it takes for a message, for an argument, for a
// key.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "protocols/redis/facts.h"
#include "protocols/redis/reply.h"
#include "tests/unit/protocols/redis/bytes.h"
#include "tests/unit/protocols/redis/server.h"

namespace crossfade::redis {
namespace {

// One message's worth of replies in the server's bytes, protocol errors apart.
struct Answers {
  std::size_t count = 0;
  bool protocol_error = false;
  bool whole = true;
};

Answers count_answers(std::string_view bytes) {
  Answers answers;
  ReplyScanner scanner;
  while (!bytes.empty()) {
    const ReplyScanner::Step step = scanner.advance(bytes);
    if (step.state != ReplyScanner::State::Complete) {
      answers.whole = false;
      return answers;
    }
    const bool error = bytes.starts_with("-ERR Protocol error");
    answers.protocol_error |= error;
    answers.count += error ? 0 : 1;
    bytes.remove_prefix(step.consumed);
  }
  return answers;
}

std::size_t answered(const Cutting& cutting) {
  return static_cast<std::size_t>(std::count_if(cutting.requests.begin(), cutting.requests.end(),
                                                [](const Words& words) { return !words.empty(); }));
}

void check_framing(const Server& server, const std::string& bytes) {
  const Cutting cutting = cut_all(bytes);
  const Answers answers = count_answers(server.answer_to(bytes));
  CAPTURE(bytes);
  CHECK(answers.whole);
  CHECK(answers.count == answered(cutting));
  // The server may still wait for a line end where the cutter already knows better, never the
  // reverse.
  if (answers.protocol_error) CHECK(cutting.broken);
}

TEST_CASE("agreement: the server takes the same bytes for messages") {
  const Server server;
  const std::string ping = resp({"PING"});
  for (const std::string& bytes : {
           ping + ping,
           std::string("*0\r\n") + ping,
           std::string("*-1\r\n") + ping,
           std::string("*-100\r\n") + ping,
           std::string("*-9223372036854775808\r\n") + ping,
           std::string("*-9223372036854775809\r\n") + ping,
           std::string("*-0\r\n") + ping,
           std::string("*00\r\n") + ping,
           std::string("*01\r\n$4\r\nPING\r\n"),
           std::string("*+1\r\n$4\r\nPING\r\n"),
           std::string("* 1\r\n$4\r\nPING\r\n"),
           std::string("*1 \r\n$4\r\nPING\r\n"),
           std::string("*\r\n") + ping,
           std::string("*2147483648\r\n") + ping,
           std::string("*1\r\n$-1\r\n") + ping,
           std::string("*1\r\n$04\r\nPING\r\n"),
           std::string("*1\r\n:4\r\nPING\r\n"),
           std::string("*1\r\nPING\r\n"),
           std::string("*1\r#$4\r#PING##") + ping,
           std::string("*1\r\n$4\r\nPINGxx") + ping,
           std::string("*1\r\n$0\r\n\r\n") + ping,
           std::string("\r\n\n\r\n") + ping,
           std::string("PING\nPING\r\n") + ping,
           std::string(" PING \r\n") + ping,
           std::string("PI\0NG\r\n", 7) + ping,
           std::string("ECHO \"a b\"\r\nECHO 'a\\'b'\r\n") + ping,
           std::string("ECHO \"a\r\n") + ping,
           std::string("ECHO \"a\"b\r\n") + ping,
           std::string("PING\r\r\n") + ping,
           std::string("\rPING\r\n") + ping,
           std::string("*1\n$4\nPING\n"),
           std::string(70'000, 'x'),
       }) {
    check_framing(server, bytes);
  }
}

TEST_CASE("agreement: the server takes mutilated bytes for the same messages") {
  const Server server;
  std::mt19937 random(20'240'607);  // a fixed seed: the same bytes in every run
  const std::vector<std::string> parts{"*1\r\n",
                                       "$4\r\n",
                                       "PING",
                                       "\r\n",
                                       "*2\r\n",
                                       "$4\r\nECHO\r\n",
                                       "$1\r\nx\r\n",
                                       "\r",
                                       "\n",
                                       "$",
                                       "*",
                                       "-1",
                                       "0",
                                       "PING\r\n",
                                       "ECHO \"a b\"\r\n",
                                       "'",
                                       "\"",
                                       " ",
                                       "\\x41",
                                       "*1\r\n$4\r\nPING\r\n",
                                       "*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\n",
                                       std::string(1, '\0')};
  const auto pick = [&](std::size_t below) { return random() % below; };
  for (int round = 0; round < 1'500; ++round) {
    std::string bytes;
    for (std::size_t i = 0, count = 1 + pick(8); i < count; ++i) bytes += parts[pick(parts.size())];
    if (pick(3) == 0) bytes[pick(bytes.size())] = static_cast<char>(pick(256));
    check_framing(server, bytes);
  }
}

std::string echoed(const redisReply& reply) { return {reply.str, reply.len}; }

TEST_CASE("agreement: the server splits inline commands into the same arguments") {
  Server server;
  std::mt19937 random(7);
  const std::vector<std::string> parts{"a",    "b c", " ",    "\t",  "\v",    "\f",
                                       "\"",   "'",   "\\",   "\\n", "\\x41", "\\x4",
                                       "\\\"", "\\'", "\xff", "x",   "\r"};
  int compared = 0;
  for (int round = 0; round < 3'000; ++round) {
    std::string line = "RPUSH list ";
    for (std::size_t i = 0, count = 1 + random() % 8; i < count; ++i)
      line += parts[random() % parts.size()];
    line += "\r\n";
    CAPTURE(line);
    const Cutting cutting = cut_all(line);
    (void)server.call({"DEL", "list"});
    const std::string answer = server.answer_to(line);
    CHECK(cutting.broken == answer.starts_with("-ERR Protocol error: unbalanced quotes"));
    if (cutting.broken || !answer.starts_with(":")) continue;
    ++compared;
    const Server::Reply list = server.call({"LRANGE", "list", "0", "-1"});
    Words words{"RPUSH", "list"};
    for (std::size_t i = 0; i < list->elements; ++i) words.push_back(echoed(*list->element[i]));
    CHECK(cutting.requests.at(0) == words);
  }
  CHECK(compared > 500);
}

struct Keys {
  bool clear = true;
  Words keys;
};

Keys our_keys(const Words& words) {
  const std::string bytes = resp(words);
  RequestCutter cutter;
  REQUIRE(std::holds_alternative<Request>(cutter.advance(bytes)));
  const auto facts = facts_of(*CommandTable::built_in(), cutter, bytes, true);
  REQUIRE(facts->spec != nullptr);
  Keys found;
  found.clear = for_each_key(*facts->spec, cutter, bytes,
                             [&](std::string_view key) { found.keys.emplace_back(key); });
  CHECK(facts->key_count == found.keys.size());
  return found;
}

// True when the server could tell the keys and they were compared.
bool check_keys(Server& server, const Words& words) {
  Words question{"COMMAND", "GETKEYS"};
  question.insert(question.end(), words.begin(), words.end());
  const Server::Reply reply = server.call(question);
  const Keys ours = our_keys(words);
  CAPTURE(resp(words));
  if (reply->type == REDIS_REPLY_ERROR) {
    if (echoed(*reply).find("no key arguments") != std::string::npos) CHECK(ours.keys.empty());
    return false;
  }
  // Asked for the streams of a malformed XREAD, the server guesses; when it runs it, it refuses.
  if (!ours.clear && words[0].starts_with("xread")) return false;
  Words theirs;
  for (std::size_t i = 0; i < reply->elements; ++i) theirs.push_back(echoed(*reply->element[i]));
  CHECK(ours.keys == theirs);
  // Where the server needs no keys it reports broken counts as none.
  if (!theirs.empty()) CHECK(ours.clear);
  return true;
}

TEST_CASE("agreement: the server finds the same keys in well-formed commands") {
  Server server;
  for (const Words& words : std::vector<Words>{
           {"GET", "k"},
           {"SET", "k", "v", "EX", "1"},
           {"MGET", "a", "b"},
           {"MSET", "a", "1", "b", "2"},
           {"DEL", "a", "b", "c"},
           {"EXISTS", "a"},
           {"RENAME", "a", "b"},
           {"COPY", "a", "b", "DB", "1"},
           {"BITOP", "AND", "d", "a", "b"},
           {"BITCOUNT", "k"},
           {"LMOVE", "a", "b", "LEFT", "LEFT"},
           {"BLMOVE", "a", "b", "LEFT", "LEFT", "0"},
           {"BLPOP", "a", "b", "0"},
           {"LMPOP", "2", "a", "b", "LEFT"},
           {"BLMPOP", "0", "2", "a", "b", "LEFT"},
           {"BZMPOP", "0", "1", "a", "MIN"},
           {"ZMPOP", "1", "a", "MAX"},
           {"SINTERCARD", "2", "a", "b", "LIMIT", "1"},
           {"SUNIONSTORE", "d", "a", "b"},
           {"SMOVE", "a", "b", "m"},
           {"ZUNIONSTORE", "d", "2", "a", "b", "WEIGHTS", "1", "2"},
           {"ZINTER", "1", "a", "WITHSCORES"},
           {"ZRANGESTORE", "d", "a", "0", "-1"},
           {"ZDIFFSTORE", "d", "1", "a"},
           {"PFMERGE", "d", "a", "b"},
           {"PFCOUNT", "a", "b"},
           {"GEORADIUS", "k", "1", "1", "1", "km", "COUNT", "1", "STORE", "d"},
           {"GEORADIUSBYMEMBER", "k", "m", "1", "km", "STOREDIST", "d"},
           {"GEOSEARCHSTORE", "d", "a", "FROMMEMBER", "m", "BYRADIUS", "1", "m"},
           {"XREAD", "COUNT", "1", "BLOCK", "0", "STREAMS", "a", "b", "0", "0"},
           {"XREADGROUP", "GROUP", "g", "c", "STREAMS", "a", ">"},
           {"XADD", "k", "*", "f", "v"},
           {"XGROUP", "CREATE", "k", "g", "$"},
           {"XINFO", "STREAM", "k"},
           {"OBJECT", "ENCODING", "k"},
           {"MEMORY", "USAGE", "k"},
           {"EVAL", "s", "2", "a", "b", "x"},
           {"EVALSHA_RO", "s", "1", "a"},
           {"FCALL", "f", "1", "a", "x"},
           {"SORT", "k", "BY", "nosort", "GET", "#", "STORE", "d"},
           {"SORT_RO", "k", "LIMIT", "0", "1"},
           {"MIGRATE", "h", "1", "k", "0", "1"},
           {"MIGRATE", "h", "1", "", "0", "1", "AUTH2", "keys", "p", "KEYS", "a", "b"},
           {"WATCH", "a", "b"},
           {"LCS", "a", "b"},
           {"RESTORE", "k", "0", "x"},
           {"DUMP", "k"},
           {"TOUCH", "a", "b"},
           {"UNLINK", "a"},
           {"HSET", "h", "f", "v"},
           {"SSCAN", "k", "0"},
           {"RPOPLPUSH", "a", "b"},
           {"MOVE", "a", "1"}}) {
    CHECK_MESSAGE(check_keys(server, words), words[0]);
  }
}

TEST_CASE("agreement: the server finds the same keys in whatever it accepts, for every command") {
  Server server;
  std::mt19937 random(11);
  const Words parts{"a",     "b",     "c",         "0",       "1",     "2",  "3",
                    "",      "STORE", "storedist", "STREAMS", "KEYS",  "BY", "GET",
                    "LIMIT", "AUTH",  "auth2",     "COUNT",   "BLOCK", "x y"};
  int compared = 0;
  for (const CommandSpec& spec : CommandTable::built_in()->specs()) {
    if (spec.keys.empty()) continue;
    const bool rare = spec.keys.size() > 1 || spec.keys[0].find != KeySpec::Find::Range ||
                      spec.keys[0].begin != KeySpec::Begin::Index;
    for (int round = 0; round < (rare ? 150 : 20); ++round) {
      Words words;
      const std::size_t bar = spec.name.find('|');
      words.push_back(spec.name.substr(0, bar));
      if (bar != spec.name.npos) words.push_back(spec.name.substr(bar + 1));
      for (std::size_t i = 0, count = 1 + random() % 11; i < count; ++i) {
        words.push_back(parts[random() % parts.size()]);
      }
      compared += check_keys(server, words) ? 1 : 0;
    }
  }
  CHECK(compared > 2'000);
}

}  // namespace
}  // namespace crossfade::redis
