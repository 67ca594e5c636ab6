// COMMAND's reply is read as far as it has the known shape; nothing else of it can do harm.
#include "movement/command_reply.h"

#include <doctest/doctest.h>

namespace crossfade {

namespace {

RedisReply text(std::string value) {
  RedisReply reply;
  reply.type = RedisReply::Type::Text;
  reply.text = std::move(value);
  return reply;
}

RedisReply number(long long value) {
  RedisReply reply;
  reply.type = RedisReply::Type::Number;
  reply.number = value;
  return reply;
}

RedisReply list(std::vector<RedisReply> elements) {
  RedisReply reply;
  reply.type = RedisReply::Type::Array;
  reply.elements = std::move(elements);
  return reply;
}

RedisReply key_spec(const std::string& begin, const std::string& find) {
  return list(
      {text("flags"), list({text("RW")}), text("begin_search"),
       list({text("type"), text(begin), text("spec"),
             list({text("index"), number(2), text("keyword"), text("STREAMS"), text("startfrom"),
                   number(-1)})}),
       text("find_keys"),
       list({text("type"), text(find), text("spec"),
             list({text("lastkey"), number(-1), text("keystep"), number(2), text("limit"),
                   number(3), text("keynumidx"), number(4), text("firstkey"), number(5)})})});
}

RedisReply entry(const std::string& name, std::vector<RedisReply> specs,
                 std::vector<RedisReply> subcommands = {}) {
  return list({text(name), number(-2), list({text("write")}), number(1), number(-1), number(2),
               list({}), list({text("nondeterministic_output")}), list(std::move(specs)),
               list(std::move(subcommands))});
}

}  // namespace

TEST_CASE(
    "command reply: entries of Redis 7 are read with their key specifications and subcommands") {
  const auto entries = read_command_reply(
      list({entry("thing", {key_spec("index", "range"), key_spec("keyword", "keynum")},
                  {entry("thing|part", {key_spec("index", "range")})})}));
  REQUIRE(entries.size() == 1);
  const auto& thing = entries.front();
  CHECK(thing.name == "thing");
  CHECK(thing.flags == std::vector<std::string>{"write"});
  CHECK(thing.tips == std::vector<std::string>{"nondeterministic_output"});
  CHECK(thing.first_key == 1);
  CHECK(thing.last_key == -1);
  CHECK(thing.key_step == 2);
  REQUIRE(thing.keys.size() == 2);
  using Spec = redis::KeySpec;
  CHECK(thing.keys[0].begin == Spec::Begin::Index);
  CHECK(thing.keys[0].index == 2);
  CHECK(thing.keys[0].find == Spec::Find::Range);
  CHECK(thing.keys[0].last == -1);
  CHECK(thing.keys[0].step == 2);
  CHECK(thing.keys[0].limit == 3);
  CHECK(thing.keys[1].begin == Spec::Begin::Keyword);
  CHECK(thing.keys[1].keyword == "STREAMS");
  CHECK(thing.keys[1].index == -1);
  CHECK(thing.keys[1].find == Spec::Find::KeyNum);
  CHECK(thing.keys[1].keynum_index == 4);
  CHECK(thing.keys[1].first_key == 5);
  REQUIRE(thing.subcommands.size() == 1);
  CHECK(thing.subcommands[0].name == "thing|part");
}

TEST_CASE("command reply: entries of older servers have no more than six elements") {
  const auto entries = read_command_reply(list(
      {list({text("get"), number(2), list({text("readonly")}), number(1), number(1), number(1)})}));
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].first_key == 1);
  CHECK(entries[0].keys.empty());
}

TEST_CASE("command reply: what is of no known shape is left out") {
  CHECK(read_command_reply(text("ERR no")).empty());
  CHECK(read_command_reply(list({text("get"), number(1), list({}), list({text("get")})})).empty());
  const auto entries = read_command_reply(
      list({entry("thing", {key_spec("unknown", "unknown"), key_spec("index", "quantum"), number(1),
                            list({}), key_spec("index", "range")})}));
  REQUIRE(entries.size() == 1);
  CHECK(entries[0].keys.size() == 1);
  RedisReply not_key = key_spec("index", "range");
  not_key.elements[1] = list({text("RW"), text("not_key")});
  CHECK(read_command_reply(list({entry("thing", {not_key})}))[0].keys.empty());
}

TEST_CASE("command reply: nesting beyond subcommands is not followed") {
  RedisReply nested = entry("deep", {});
  for (int i = 0; i < 50; ++i) nested = entry("deep", {}, {nested});
  const auto entries = read_command_reply(list({nested}));
  REQUIRE(entries.size() == 1);
  REQUIRE(entries[0].subcommands.size() == 1);
  CHECK(entries[0].subcommands[0].subcommands.empty());
}

}  // namespace crossfade
