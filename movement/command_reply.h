// COMMAND's reply -> plain data.
#pragma once

#include <vector>

#include "movement/redis_connection.h"
#include "protocols/redis/command.h"

namespace crossfade {

// Reads the reply of COMMAND as servers from Redis 2.8 on give it (RESP2: maps are arrays of
// pairs). Entries and parts that are not of the known shape are left out.
std::vector<redis::CommandReplyEntry> read_command_reply(const RedisReply& reply);

}  // namespace crossfade
