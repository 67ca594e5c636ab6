// What a value contains, in a form in which two servers' values can be compared.
//
// Servers that hold the same value may dump it in different bytes: hash tables have an order of
// their own, encodings hang on how a value grew and on settings. Read by ordinary commands;
// bounded, since it is all in memory at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "movement/redis_line.h"
#include "movement/redis_value.h"
#include "protocols/base/result.h"

namespace crossfade {

struct ContentLimits {
  std::size_t bytes_max;       // of the dump
  std::uint64_t elements_max;  // members, fields, entries
};

struct StreamPending {
  std::string id;
  std::int64_t delivered_ms = 0;
  std::int64_t deliveries = 0;
};

struct StreamConsumer {
  std::string name;
  std::vector<StreamPending> pending;
};

inline constexpr std::int64_t kCountLost = -1;  // as XGROUP takes it

struct StreamGroup {
  std::string name;
  std::string last_id;
  std::optional<std::int64_t> entries_read;  // or kCountLost; nullopt: the server does not tell
  std::vector<StreamConsumer> consumers;
};

struct StreamEntry {
  std::string id;
  std::vector<std::string> fields;  // field, value, …

  bool operator==(const StreamEntry&) const = default;
};

struct StreamContent {
  std::vector<StreamEntry> entries;
  std::string last_id;
  std::optional<std::int64_t> entries_added;  // since Redis 7, like the next
  std::optional<std::string> max_deleted_id;
  std::vector<StreamGroup> groups;
};

struct Content {
  ValueType type = ValueType::None;
  // String: one. List: in order. Set: sorted. Hash: field, value, …, sorted. Zset: member, score,
  // …, in the set's order.
  std::vector<std::string> items;
  StreamContent stream;
};

// nullopt: beyond the limits, of an unknown type, or the server does not tell all of it. The line
// is ready; nobody writes the key meanwhile.
//   errors  Unavailable: the connection is lost (and given up), or no answer in time
Result<std::optional<Content>> read_content(RedisLine& line, std::string_view key,
                                            const RedisValue& value, const ContentLimits& limits);

// Equal in all that a client can tell, but for when an entry was last delivered: servers that were
// given the same write did it at slightly different times. A HyperLogLog's remembered estimate is
// no content.
bool same_content(const Content& one, const Content& other);

// How many elements a key has, of a string its bytes; nullopt where no command tells.
Result<std::optional<std::uint64_t>> read_size(RedisLine& line, std::string_view key,
                                               ValueType type);

enum class Sameness : std::uint8_t { Same, Different, Untold };

// Do the two values hold the same, whatever their expiries? By their bytes, else by their content.
// Untold: that could not be read within the limits.
Result<Sameness> compare_values(const BothLines& lines, std::string_view key,
                                const BothValues& values, const ContentLimits& limits);

}  // namespace crossfade
