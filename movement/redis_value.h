// What a key holds on a server, as DUMP and PEXPIRETIME tell it; of both sides at once.
//
// Two values whose bytes are equal are equal; of two whose bytes differ redis_content.h tells more.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "movement/redis_line.h"
#include "protocols/base/result.h"

namespace crossfade {

enum class ValueType : std::uint8_t { None, String, List, Set, Hash, Zset, Stream, Unknown };

struct RedisValue {
  std::string dump;              // empty: there is no such key
  std::int64_t expires_ms = -1;  // Unix time; -1: never
  std::int64_t unsure_ms = 0;    // how far expires_ms may be off

  bool exists() const { return !dump.empty(); }
  // None: no key. Unknown: a module's, or a form that this does not know, with more in it than the
  // ordinary commands tell (expiries of single fields).
  ValueType type() const;
  // The dump without the version and the checksum at its end, which differ between releases.
  std::string_view content() const;
};

// Index: Side.
using BothValues = std::array<RedisValue, 2>;
using BothLines = std::array<RedisLine*, 2>;

// Asks both servers at the same time; their lines are ready.
//   errors  Unavailable: a connection is lost, or no answer in time (that line was given up);
//   BadConfig: a server refuses, in its own words
Result<BothValues> read_values(const BothLines& lines, std::string_view key);

// Their expiries are the same, as far as they can be told (1 ms).
bool same_expiry(const RedisValue& one, const RedisValue& other);

// The two halves of reading one key, for those who read many at once.
std::vector<RedisCommand> questions_of_value(const RedisLine& line, std::string_view key);

// Makes a value of the replies to questions_of_value(), and takes what is large out of them.
//   errors  BadConfig: the server refuses, in its own words
Result<RedisValue> value_of(std::span<RedisReply> replies);

// The server does not know PEXPIRETIME: from now on it is asked otherwise.
bool must_ask_otherwise(RedisLine& line, std::span<const RedisReply> replies);

}  // namespace crossfade
