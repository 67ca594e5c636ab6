// Pairs of replies and what they mean: every family of commands, both protocols.
#include "movement/reply_meaning.h"

#include <doctest/doctest.h>

#include <array>
#include <initializer_list>
#include <string>
#include <string_view>

namespace crossfade {

namespace {

std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string(text) + "\r\n";
}
std::string number(long long value) { return ":" + std::to_string(value) + "\r\n"; }
std::string all(char type, std::initializer_list<std::string> elements) {
  const std::size_t each = type == '%' ? 2 : 1;
  std::string bytes = type + std::to_string(elements.size() / each) + "\r\n";
  for (const std::string& element : elements) bytes += element;
  return bytes;
}
std::string list(std::initializer_list<std::string> elements) { return all('*', elements); }
std::string texts(std::initializer_list<std::string_view> elements, char type = '*') {
  std::string bytes = type + std::to_string(elements.size() / (type == '%' ? 2 : 1)) + "\r\n";
  for (const std::string_view element : elements) bytes += bulk(element);
  return bytes;
}

constexpr std::string_view kNil2 = "$-1\r\n";
constexpr std::string_view kNil3 = "_\r\n";

struct Pair {
  std::string_view command;
  std::string one;
  std::string other;
  Meaning meaning;
};

// Whichever side says which.
void check(std::initializer_list<Pair> pairs) {
  for (const Pair& pair : pairs) {
    INFO(pair.command << " " << pair.one << " / " << pair.other);
    CHECK(judge(pair.command, pair.one, pair.other) == pair.meaning);
    CHECK(judge(pair.command, pair.other, pair.one) == pair.meaning);
    CHECK(judge(pair.command, pair.one, pair.one) == Meaning::Same);
    CHECK(judge(pair.command, pair.other, "|0\r\n" + pair.other) == Meaning::Same);
  }
}

constexpr Meaning Same = Meaning::Same;
constexpr Meaning Tolerable = Meaning::Tolerable;
constexpr Meaning Different = Meaning::Different;

}  // namespace

TEST_CASE("meaning: what no rule names is compared exactly") {
  check({
      {"get", bulk("a"), bulk("b"), Different},
      {"get", bulk("a"), std::string(kNil2), Different},
      {"get", bulk(""), std::string(kNil2), Different},
      {"get", bulk("1.0"), bulk("1.00"), Different},
      {"strlen", number(1), number(2), Different},
      {"incr", number(1), bulk("1"), Different},
      {"lrange", texts({"a", "b"}), texts({"b", "a"}), Different},
      {"lrange", texts({"a", "b"}), texts({"a"}), Different},
      {"lrange", texts({}), std::string(kNil2), Different},
      {"mget", list({bulk("a"), std::string(kNil2)}), list({std::string(kNil2), bulk("a")}),
       Different},
      {"exec", list({"+OK\r\n", number(3)}), list({"+OK\r\n", number(4)}), Different},
      {"module.command", texts({"a", "b"}), texts({"b", "a"}), Different},
      {"", bulk("a"), bulk("b"), Different},
  });
}

TEST_CASE("meaning: the two protocols say the same in two ways") {
  check({
      {"get", std::string(kNil2), std::string(kNil3), Same},
      {"lpop", "*-1\r\n", std::string(kNil3), Same},
      {"ping", "+PONG\r\n", bulk("PONG"), Same},
      {"exists", number(1), "#t\r\n", Same},
      {"exists", number(1), "#f\r\n", Different},
      {"info", bulk("a:1"), "=7\r\ntxt:a:1\r\n", Same},
      {"get", "-ERR x\r\n", "!5\r\nERR x\r\n", Same},
      {"hgetall", texts({"a", "1", "b", "2"}), texts({"b", "2", "a", "1"}, '%'), Same},
      {"any", texts({"a", "1", "b", "2"}), texts({"b", "2", "a", "1"}, '%'), Same},
      {"any", texts({"a", "1", "b", "2"}), texts({"b", "1", "a", "2"}, '%'), Different},
      {"any", texts({"a", "b"}), texts({"b", "a"}, '~'), Same},
      {"zscore", bulk("1.5"), ",1.5\r\n", Same},
      {"any", bulk("1e3"), ",1000\r\n", Tolerable},
      {"any", bulk("x"), ",1000\r\n", Different},
      {"zrange", texts({"a", "1", "b", "2"}),
       list({list({bulk("a"), ",1\r\n"}), list({bulk("b"), ",2\r\n"})}), Same},
      {"zrange", texts({"a", "1", "b", "2"}),
       list({list({bulk("b"), ",2\r\n"}), list({bulk("a"), ",1\r\n"})}), Different},
      {"xread", list({list({bulk("s"), list({bulk("1-1")})})}),
       all('%', {bulk("s"), list({bulk("1-1")})}), Same},
  });
}

TEST_CASE("meaning: sets have no order, whatever made them") {
  for (const char* command :
       {"smembers", "SMEMBERS", "sinter", "sunion", "sdiff", "hkeys", "hvals", "keys"}) {
    check({
        {command, texts({"a", "b", "c"}), texts({"c", "a", "b"}), Same},
        {command, texts({"a", "b"}, '~'), texts({"b", "a"}, '~'), Same},
        {command, texts({"a", "b"}, '~'), texts({"b", "a"}), Same},
        {command, texts({}), texts({}, '~'), Same},
        {command, texts({"a", "b"}), texts({"a"}), Different},
        {command, texts({"a", "a", "b"}), texts({"a", "b", "b"}), Different},
        {command, texts({"ab", "c"}), texts({"a", "bc"}), Different},
        {command, texts({"a"}), "-ERR x\r\n", Different},
    });
  }
}

TEST_CASE("meaning: a hash has pairs and no order") {
  check({
      {"hgetall", texts({"a", "1", "b", "2"}), texts({"b", "2", "a", "1"}), Same},
      {"hgetall", texts({"a", "1", "b", "2"}), texts({"a", "2", "b", "1"}), Different},
      {"hgetall", texts({"a", "1", "b", "2"}), texts({"1", "a", "2", "b"}), Different},
      {"hgetall", texts({"a", "1"}), texts({}), Different},
      {"hgetall", texts({"a", "1", "b"}), texts({"b", "a", "1"}), Different},
      {"hmget", texts({"1", "2"}), texts({"2", "1"}), Different},
      {"config|get", texts({"a", "1", "b", "2"}), texts({"b", "2", "a", "1"}, '%'), Same},
  });
}

TEST_CASE("meaning: what hangs on the clock may be a little apart") {
  struct Clock {
    const char* command;
    long long tolerance;  // in the unit of the reply
  };
  for (const Clock& clock : {
           Clock{"ttl", kExpiryTolerance_ms / 1000},
           Clock{"pttl", kExpiryTolerance_ms},
           Clock{"expiretime", kExpiryTolerance_ms / 1000},
           Clock{"pexpiretime", kExpiryTolerance_ms},
           Clock{"object|idletime", kIdleTolerance_s},
       }) {
    check({
        {clock.command, number(100'000), number(100'000 - clock.tolerance), Tolerable},
        {clock.command, number(100'000), number(100'001 + clock.tolerance), Different},
        {clock.command, number(0), number(-1), Different},
        {clock.command, number(-1), number(-2), Different},
        {clock.command, number(INT64_MAX), number(INT64_MIN), Different},
        {clock.command, number(1), bulk("1"), Different},
        {clock.command, number(1), ":1x\r\n", Different},
        {clock.command, std::string(kNil2), number(1), Different},
    });
  }
  check({
      {"hpttl", list({number(5), number(-1)}), list({number(9), number(-1)}), Tolerable},
      {"hpttl", list({number(5), number(-1)}), list({number(9), number(-2)}), Different},
      {"strlen", number(5), number(6), Different},
  });
}

TEST_CASE("meaning: an idle time among other words of XPENDING may be a little apart") {
  const auto pending = [](const char* id, long long idle_ms, long long count) {
    return list({list({bulk(id), bulk("worker"), number(idle_ms), number(count)})});
  };
  check({
      {"xpending", pending("1-1", 1'000, 1), pending("1-1", 4'000, 1), Tolerable},
      {"xpending", pending("1-1", 1'000, 1), pending("1-1", 90'000, 1), Different},
      {"xpending", pending("1-1", 1'000, 1), pending("1-1", 1'000, 2), Different},
      {"xpending", pending("1-1", 1'000, 1), pending("1-2", 1'000, 1), Different},
      {"xpending", list({number(1), bulk("1-1"), bulk("1-1"), list({})}),
       list({number(2), bulk("1-1"), bulk("1-1"), list({})}), Different},
  });
}

TEST_CASE("meaning: equal numbers may be written differently where a number is meant") {
  for (const char* command : {"incrbyfloat", "hincrbyfloat", "zincrby", "zscore", "geodist"}) {
    check({
        {command, bulk("3"), bulk("3.0"), Tolerable},
        {command, bulk("0.1"), bulk("0.10000000000000001"), Tolerable},
        {command, bulk("1e2"), bulk("100"), Tolerable},
        {command, bulk("inf"), ",inf\r\n", Same},
        {command, bulk("0.1"), bulk("0.2"), Different},
        {command, bulk("0.1"), bulk("0.1 "), Different},
        {command, bulk("0.1"), std::string(kNil2), Different},
    });
  }
  check({
      {"zmscore", texts({"1", "2"}), texts({"1.0", "2.0"}), Tolerable},
      {"zmscore", texts({"1", "2"}), texts({"2", "1"}), Different},
      {"zrange", texts({"a", "1"}), texts({"a", "1.0"}), Tolerable},
      {"zrange", texts({"1", "a"}), texts({"1.0", "a"}), Different},
      {"zpopmin", texts({"a", "1"}), texts({"a", "1e0"}), Tolerable},
      {"zmpop", list({bulk("z"), list({texts({"a", "1"})})}),
       list({bulk("z"), list({texts({"a", "1.0"})})}), Tolerable},
      {"zmpop", list({bulk("z"), list({texts({"1", "1"})})}),
       list({bulk("z"), list({texts({"1.0", "1"})})}), Different},
      {"geopos", list({texts({"13.4", "52.5"})}), list({texts({"13.40", "52.50"})}), Tolerable},
  });
}

TEST_CASE("meaning: an id that the server chose says only that it is one") {
  check({
      {"xadd", bulk("1699999999999-0"), bulk("1700000000001-2"), Tolerable},
      {"xadd", bulk("1699999999999-0"), std::string(kNil2), Different},
      {"xadd", bulk("1699999999999-0"), bulk("x-0"), Different},
      {"xadd", bulk("1-1"), "-ERR The ID specified in XADD is equal or smaller\r\n", Different},
      {"xrange", texts({"1-1"}), texts({"2-1"}), Different},
  });
}

TEST_CASE("meaning: errors of one kind may be worded differently") {
  check({
      {"get", "-WRONGTYPE Operation against a key\r\n", "-WRONGTYPE Another wording\r\n",
       Tolerable},
      {"get", "-WRONGTYPE x\r\n", "-WRONGTYPE\r\n", Tolerable},
      {"get", "-WRONGTYPE x\r\n", "-ERR x\r\n", Different},
      {"get", "-ERR x\r\n", "+ERR x\r\n", Different},
      {"exec", list({"+OK\r\n", "-ERR a\r\n"}), list({"+OK\r\n", "-ERR b\r\n"}), Tolerable},
  });
}

TEST_CASE("meaning: what is no whole reply is equal only to the same bytes") {
  CHECK(judge("get", bulk("a") + bulk("b"), bulk("a")) == Different);
  CHECK(judge("get", bulk("a"), "") == Different);
  CHECK(judge("get", "$5\r\nab", "$5\r\nab") == Same);
  CHECK(judge("smembers", "*2\r\n$1\r\na", "*2\r\n$1\r\nb") == Different);
}

TEST_CASE("meaning: what hangs on chance says nothing, what has no order says all but that") {
  for (const char* command : {"srandmember", "RANDOMKEY", "spop", "hrandfield", "zrandmember",
                              "object|encoding", "memory|usage", "xautoclaim"}) {
    CHECK(hangs_on_chance(command, false));
  }
  for (const char* command : {"smembers", "keys", "ttl", "hgetall", "xadd", "xpending"}) {
    CHECK_FALSE(hangs_on_chance(command, true));
  }
  CHECK(hangs_on_chance("module.command", true));
  CHECK_FALSE(hangs_on_chance("module.command", false));
  CHECK_FALSE(hangs_on_chance("get", false));
}

}  // namespace crossfade
