// What a Redis server says about itself, asked over one short connection. Changes nothing there.
#pragma once

#include <cstdint>

#include "protocols/base/result.h"
#include "strategies/ports.h"

namespace crossfade {

// Fills a RedisProbe. Servers refuse some questions (CONFIG, COMMAND, INFO by ACL or by renaming);
// what is refused stays unknown. Blocks up to timeout_ms for connecting and for each of six
// answers.
//   errors  Unavailable: not reached, or no answer in time; BadConfig: the server refused the
//   login, or
//           wants one; texts name the endpoint's id and never its credentials
Result<RedisProbe> probe_redis(const EndpointAddress& address, std::uint32_t timeout_ms);

// Over a connection of its own: MULTI, a SET that would change nothing if it were run, DISCARD.
// Servers refuse a command when it is queued for most reasons that they would not run it for.
// Blocks likewise, for each of three answers.
WritesTold ask_for_writes(const EndpointAddress& address, std::uint32_t timeout_ms);

}  // namespace crossfade
