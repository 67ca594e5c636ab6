// Writing a value by ordinary commands, where the server does not take another's dump.
//
// An older server refuses the dumps of a newer one. What the commands cannot say is left out: in
// streams, deliveries of entries that are no longer there, and before Redis 7 the counters of what
// was ever added; the caller compares afterwards.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "movement/redis_connection.h"
#include "movement/redis_content.h"

namespace crossfade {

// One transaction: MULTI, DEL key, the commands, EXEC. It refers to the bytes of key and content.
struct Rewrite {
  std::vector<RedisCommand> commands;
  std::deque<std::string> made;  // texts that are in neither
};

// `expires_ms`: Unix time, or negative. `tells_counters`: the server knows those of Redis 7.
Rewrite rewrite_of(std::string_view key, const Content& content, std::int64_t expires_ms,
                   bool tells_counters);

}  // namespace crossfade
