// Finding commands by name, the built-in table, and what is learned from servers of several ages.
#include "protocols/redis/command.h"

#include <doctest/doctest.h>

#include <ostream>

#include "tests/unit/protocols/redis/server.h"

namespace crossfade::redis {
namespace {

CommandSpec named(std::string name) {
  CommandSpec spec;
  spec.name = std::move(name);
  return spec;
}

const CommandSpec& built_in(std::string_view name) {
  const CommandSpec* const spec = CommandTable::built_in()->find(name);
  REQUIRE(spec != nullptr);
  return *spec;
}

const CommandSpec* find_full(const CommandTable& table, std::string_view name) {
  const std::size_t bar = name.find('|');
  if (bar == name.npos) return table.find(name);
  return table.find(name.substr(0, bar), name.substr(bar + 1));
}

std::string shown(const KeySpec& spec) {
  std::string text = spec.keyword;
  for (const int part :
       {static_cast<int>(spec.begin), static_cast<int>(spec.find), spec.index, spec.last, spec.step,
        spec.limit > 1 ? spec.limit : 0, spec.keynum_index, spec.first_key}) {
    text.append(" ").append(std::to_string(part));
  }
  return text;
}

std::string shown(const CommandSpec& spec) {
  std::string text = spec.name;
  text.append(" ").append(name_of(spec.kind));
  text.append(" effect ").append(std::to_string(static_cast<int>(spec.effect)));
  if (spec.repeat != Repeat::Unknown) {
    text.append(" repeat ").append(std::to_string(static_cast<int>(spec.repeat)));
  }
  if (spec.blocks) text.append(" blocks");
  if (spec.cursor) text.append(" cursor");
  if (spec.sided) text.append(" sided");
  if (spec.nondeterministic) text.append(" nondeterministic");
  if (spec.has_subcommands) text.append(" container");
  for (const KeySpec& keys : spec.keys) text.append(" [").append(shown(keys)).append("]");
  return text;
}

TEST_CASE("command table: a name is found in any case, and only as a whole") {
  const CommandTable table({named("get"), named("getex"), named("a"), named("ab"), named("abc"),
                            named("zrevrangebyscore"), named("georadiusbymember_ro"),
                            named("georadiusbymember"), named("json.get")});
  for (const std::string_view name :
       {"get", "GET", "gEt", "GETEX", "A", "aB", "Abc", "ZREVRANGEBYSCORE", "GeoRadiusByMember_RO",
        "GEORADIUSBYMEMBER", "JSON.GET"}) {
    REQUIRE_MESSAGE(table.find(name) != nullptr, name);
    CHECK(table.find(name)->name.size() == name.size());
  }
  for (const std::string_view name :
       {"", "g", "ge", "gett", "get ", "G\x05T", "GE\x94", "abcd", "zrevrangebyscor",
        "zrevrangebyscoree", "georadiusbyXember", "json@get", "json\x0eget", "JSON.GE[", "{et"}) {
    CHECK_MESSAGE(table.find(name) == nullptr, name);
  }
  CHECK(table.find(std::string(100'000, 'x')) == nullptr);
}

TEST_CASE("command table: no byte but the other case of a letter finds a command") {
  const CommandTable table({named("g@z[a{"), named("get")});
  std::size_t found = 0;
  for (int byte = 0; byte < 256; ++byte) {
    std::string name = "get";
    name[1] = static_cast<char>(byte);
    found += table.find(name) != nullptr ? 1 : 0;
  }
  CHECK(found == 2);
  CHECK(table.find("G@Z[A{") != nullptr);
  CHECK(table.find("g`z[a{") == nullptr);
  CHECK(table.find("g@z{a{") == nullptr);
}

TEST_CASE("command table: subcommands are found behind their container only") {
  const CommandTable& table = *CommandTable::built_in();
  REQUIRE(table.find("CLIENT") != nullptr);
  CHECK(table.find("CLIENT")->has_subcommands);
  REQUIRE(table.find("Client", "Reply") != nullptr);
  CHECK(table.find("Client", "Reply")->effect == Effect::ClientReply);
  CHECK(table.find("client|reply") == nullptr);
  CHECK(table.find("client", "nonsense") == nullptr);
  CHECK(table.find("get", "reply") == nullptr);
  CHECK(table.find("client", std::string(1'000, 'x')) == nullptr);
  CHECK(table.find("", "") == nullptr);
}

TEST_CASE("command table: the last specification of a name counts") {
  CommandSpec read = named("get");
  read.kind = Kind::Read;
  const CommandTable table({named("get"), read});
  CHECK(table.size() == 1);
  CHECK(table.find("get")->kind == Kind::Read);
}

TEST_CASE("built-in table: kinds and effects are what the strategies rely on") {
  CHECK(built_in("get").kind == Kind::Read);
  CHECK(built_in("set").kind == Kind::Write);
  for (const char* script : {"eval", "evalsha", "fcall"})
    CHECK(built_in(script).kind == Kind::Write);
  for (const char* script : {"eval_ro", "evalsha_ro", "fcall_ro"})
    CHECK(built_in(script).kind == Kind::Read);
  CHECK(built_in("publish").kind == Kind::Publish);
  CHECK(built_in("spublish").kind == Kind::Publish);
  CHECK(built_in("spublish").keys.empty());
  for (const char* name : {"function|kill", "script|kill"}) {
    const CommandSpec* const spec = find_full(*CommandTable::built_in(), name);
    REQUIRE_MESSAGE(spec != nullptr, name);
    CHECK_MESSAGE(spec->kind == Kind::Publish, name);
    CHECK_MESSAGE(spec->urgent, name);
  }
  for (const char* name : {"ping", "info", "subscribe", "hello", "config", "client", "wait"}) {
    CHECK_MESSAGE(built_in(name).kind == Kind::Other, name);
  }
  for (const char* name : {"multi", "exec", "discard", "watch", "unwatch", "flushall"}) {
    CHECK_MESSAGE(built_in(name).kind == Kind::Write, name);
  }
  CHECK(built_in("watch").effect == Effect::Watch);
  CHECK(built_in("psync").effect == Effect::Sync);
  CHECK(built_in("shutdown").effect == Effect::Closes);
  CHECK(built_in("post").effect == Effect::Closes);
  CHECK(built_in("host:").effect == Effect::Closes);
  CHECK(built_in("hscan").cursor);
  CHECK(built_in("blpop").blocks);
  CHECK(built_in("spop").nondeterministic);
  CHECK(CommandTable::built_in()->find("script", "load")->kind == Kind::Write);
  CHECK(CommandTable::built_in()->find("script", "exists")->sided);
}

TEST_CASE("learned table: agrees with the built-in one on every command of a real Redis 7.0") {
  Server server;
  const auto reply = read_command_reply(*server.call({"COMMAND"}));
  REQUIRE(reply.size() > 200);
  const auto learned = learn_commands(reply);
  const auto known = CommandTable::built_in();
  CHECK(learned->size() == known->size());
  for (const CommandSpec& spec : learned->specs()) {
    const CommandSpec* const other = find_full(*known, spec.name);
    REQUIRE_MESSAGE(other != nullptr, spec.name);
    CHECK(shown(spec) == shown(*other));
  }
}

TEST_CASE("learned table: knows what the server has, and nothing else") {
  const auto table = learn_commands({{.name = "get",
                                      .flags = {"readonly", "fast"},
                                      .first_key = 1,
                                      .last_key = 1,
                                      .key_step = 1,
                                      .tips = {},
                                      .keys = {},
                                      .subcommands = {}}});
  CHECK(table->find("get") != nullptr);
  CHECK(table->find("set") == nullptr);
  // These two are no commands: the server hangs up on them without listing them.
  CHECK(table->find("post") != nullptr);
  CHECK(table->find("host:") != nullptr);
}

CommandReplyEntry entry(std::string name, std::vector<std::string> flags, int first = 0,
                        int last = 0, int step = 0) {
  return {std::move(name), std::move(flags), first, last, step, {}, {}, {}};
}

TEST_CASE("learned table: an old server's silence is filled in by name") {
  const auto table = learn_commands({entry("eval", {"noscript", "movablekeys"}),
                                     entry("client", {"admin", "noscript", "random"}),
                                     entry("object", {"readonly", "random"}, 2, 2, 1),
                                     entry("srandmember", {"readonly", "random"}, 1, 1, 1),
                                     entry("bitop", {"write", "denyoom"}, 2, -1, 1),
                                     entry("xread", {"readonly", "movablekeys"}, 1, 1, 1)});
  CHECK(shown(*table->find("eval")) == shown(built_in("eval")));
  CHECK(table->find("client", "reply")->effect == Effect::ClientReply);
  CHECK(table->find("object", "encoding")->keys.at(0).index == 2);
  CHECK(table->find("object", "encoding")->kind == Kind::Read);
  CHECK(shown(*table->find("bitop")) == shown(built_in("bitop")));
  CHECK(shown(*table->find("xread")) == shown(built_in("xread")));
}

TEST_CASE("learned table: PFCOUNT writes, whatever the server calls it") {
  const auto table = learn_commands({entry("pfcount", {"readonly", "may_replicate"}, 1, -1, 1),
                                     entry("eval_ro", {"readonly", "movablekeys"}, 0, 0, 0)});
  REQUIRE(table);
  CHECK(table->find("pfcount")->kind == Kind::Write);
  CHECK(table->find("eval_ro")->kind == Kind::Read);
}

TEST_CASE("learned table: a module's command is what its flags and positions say") {
  const auto table = learn_commands(
      {entry("JSON.GET", {"readonly"}, 1, 1, 1), entry("ts.madd", {"write", "denyoom"}, 1, -1, 3),
       entry("ft._list", {"admin"}), entry("mod.opaque", {"noscript"}, 1, 2, 1),
       entry("mod.random", {"readonly", "random"}),
       entry("mod.block", {"write", "blocking"}, 1, 1, 1)});
  const auto spec = [&](const char* name) { return shown(*table->find(name)); };
  CHECK(spec("json.get") == "json.get read effect 0 [ 0 0 1 0 1 0 0 0]");
  CHECK(spec("ts.madd") == "ts.madd write effect 0 [ 0 0 1 -1 3 0 0 0]");
  CHECK(spec("ft._list") == "ft._list other effect 0");
  CHECK(spec("mod.opaque") == "mod.opaque write effect 0 [ 0 0 1 1 1 0 0 0]");
  CHECK(spec("mod.random") == "mod.random read effect 0 nondeterministic");
  CHECK(spec("mod.block") == "mod.block write effect 0 blocks [ 0 0 1 0 1 0 0 0]");
}

}  // namespace
}  // namespace crossfade::redis
