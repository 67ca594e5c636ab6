// Scripts that hang on chance are known by their words.
#include "protocols/redis/script_words.h"

#include <doctest/doctest.h>

namespace crossfade::redis {
namespace {

TEST_CASE("script words: chance, the clock, and expiries that count from now are seen") {
  for (const char* script : {
           "return redis.call('TIME')",
           "redis.call(\"time\")",
           "math.random()",
           "local r = math.random return r(5)",
           "redis.call('SPOP', KEYS[1])",
           "redis.call('sRandMember', KEYS[1])",
           "redis.call('HSCAN', KEYS[1], 0)",
           "redis.pcall('xadd', KEYS[1], '*', 'a', 1)",
           "redis.call('expire', KEYS[1], 10)",
           "redis.call('PEXPIRE', KEYS[1], 10)",
           "redis.call('setex', KEYS[1], 10, 'v')",
           "redis.call('SET', KEYS[1], 'v', 'EX', 10)",
           "redis.call('SET', KEYS[1], 'v', 'px', 10)",
           "redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', 10)",
           "os.clock()",
           "if redis.call('PTTL', KEYS[1]) < 5 then return 1 end",
           "for _, m in ipairs(redis.call('SMEMBERS', KEYS[1])) do end",
           "redis.call('KEYS', '*')",
           "redis.call('sort', KEYS[1])",
           // An expiry at a set time: the sidecar must know of it.
           "redis.call('PEXPIREAT', KEYS[1], ARGV[1])",
           "redis.call('SET', KEYS[1], 'v', 'PXAT', 10)",
           "time",
       }) {
    CAPTURE(script);
    CHECK(hangs_on_chance(script));
  }
}

TEST_CASE("script words: what one server alone knows is seen") {
  for (const char* script : {
           "if redis.call('publish', KEYS[2], ARGV[1]) == 0 then redis.call('rpush', KEYS[1], 1) "
           "end",
           "redis.call('SPUBLISH', 'c', 'm')",
           "redis.call('pubsub', 'numsub', 'c')",
           "redis.call('INFO', 'server')",
           "redis.call('lastsave')",
           "redis.call('memory', 'usage', KEYS[1])",
           "redis.call('DBSIZE')",
           "redis.call('slowlog', 'len')",
           "redis.call('command', 'count')",
           "redis.call('wait', 0, 0)",
           "redis.call('client', 'id')",
           "redis.call('dump', KEYS[1])",
           "redis.call('xpending', KEYS[1], 'g')",
           "redis.call('set', KEYS[1], tostring({}))",
           "redis.call('set', KEYS[1], tostring( function() end ))",
           "redis.call('set', KEYS[1], tostring {})",
           "redis.call('set', KEYS[1], collectgarbage('count'))",
           "redis.call('set', KEYS[1], redis.REDIS_VERSION)",
           "if redis.REDIS_VERSION_NUM > 0x070000 then return 1 end",
           "server.SERVER_VERSION_NUM",
           "redis.acl_check_cmd('set', 'k', 'v')",
       }) {
    CAPTURE(script);
    CHECK(hangs_on_chance(script));
  }
}

TEST_CASE("script words: a word is whole, and what every script uses is none") {
  for (const char* script : {
           "",
           "return redis.call('SET', KEYS[1], ARGV[1])",
           "redis.call('INCRBYFLOAT', KEYS[1], 1)",
           "local times, next_time, timeout = 1, 2, 3",
           "local x = randomly + spops",
           "table.sort(t)",
           "for k in pairs(KEYS) do end",
           "local index = 1",
           "local info, command, client, memory, wait = 1, 2, 3, 4, 5",
           "redis.call('set', KEYS[1], tostring(tonumber(ARGV[1]) + 1))",
           "return tostring",
       }) {
    CAPTURE(script);
    CHECK_FALSE(hangs_on_chance(script));
  }
}

TEST_CASE("script words: an argument is one as a whole only") {
  for (const char* word : {"EX", "px", "Spop", "KEYS", "sort", "TIME", "EXAT"}) {
    CHECK(is_word_of_chance(word));
  }
  for (const char* word : {"", "E", "user:time", "the time", "srandmembersrandmember"}) {
    CHECK_FALSE(is_word_of_chance(word));
  }
}

}  // namespace
}  // namespace crossfade::redis
