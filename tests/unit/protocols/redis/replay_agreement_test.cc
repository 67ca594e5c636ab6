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
#include "tests/unit/protocols/redis/write_forms.h"

namespace crossfade::redis {
namespace {

constexpr std::int64_t kExpiryOffMax = 5;  // ms, where only the time left is known; else none
constexpr std::int64_t kDeliveryOffMax =
    5'000;  // ms: delivery times are those of the second server
constexpr std::int64_t kTimesFrom = 1'000'000'000'000;  // what is larger is a time in ms

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

void check_equal(const State& left, const State& right, std::int64_t expiry_off_max = 0) {
  for (const auto& entry : left) {
    const Held& held = entry.second;
    CAPTURE(entry.first);
    const auto found = right.find(entry.first);
    CHECK_MESSAGE(found != right.end(), "only the first server has it");
    if (found == right.end()) continue;
    CHECK(held.text == found->second.text);
    CHECK(std::abs(held.expiry - found->second.expiry) <= expiry_off_max);
    CHECK((held.expiry < 0) == (found->second.expiry < 0));
    REQUIRE(held.times.size() == found->second.times.size());
    for (std::size_t i = 0; i < held.times.size(); ++i) {
      CHECK(std::abs(held.times[i] - found->second.times[i]) <= kDeliveryOffMax);
    }
  }
  for (const auto& entry : right) {
    CHECK_MESSAGE(left.contains(entry.first), "only the second server has " << entry.first);
  }
}

// The sides.
struct Pair {
  Server first;
  Server second;
};

void fill(Server& server) {
  for (const Words& words : data()) {
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

// Speaks one version of the protocol, and knows the commands of one of Redis.
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
    const bool exact = client.commands.find("pexpiretime") != nullptr;
    check_equal(state_of(pair.first), state_of(pair.second), exact ? 0 : kExpiryOffMax);
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

// Entries of the stream, and who has them pending how often delivered.
std::string stream_of(Server& server) {
  Held held;
  render(*server.call({"XRANGE", "st", "-", "+"}), held);
  const Server::Reply pending = server.call({"XPENDING", "st", "g", "-", "+", "1000"});
  for (std::size_t i = 0; i < pending->elements; ++i) {
    render(*pending->element[i]->element[0], held);
    render(*pending->element[i]->element[1], held);
    render(*pending->element[i]->element[3], held);
  }
  return held.text;
}

TEST_CASE("replay: what is idle, and what is cheap to trim, is decided on the first server only") {
  Pair pair;
  (void)pair.second.call({"CONFIG", "SET", "stream-node-max-entries", "7"});
  int streams = 0;
  for (const Words& words : forms()) {
    const bool claims = words[0] == "XCLAIM" || words[0] == "XAUTOCLAIM";
    if (!claims && words[0] != "XADD" && words[0] != "XTRIM") continue;
    CAPTURE(resp(words));
    fill(pair.first);
    fill(pair.second);
    const Words delivered_now{"XCLAIM", "st",  "g",   "c1",   "0",    "1-1",
                              "3-1",    "4-1", "6-1", "IDLE", "1000", "JUSTID"};
    (void)pair.second.call(delivered_now);
    (void)run({*CommandTable::built_in(), ""}, pair, words);
    CHECK(stream_of(pair.first) == stream_of(pair.second));
    ++streams;
  }
  CHECK(streams > 30);
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
