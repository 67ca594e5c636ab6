// redis[s]://[user[:password]@]host[:port][/db]
#pragma once

#include <string_view>

#include "protocols/base/result.h"
#include "strategies/table.h"

namespace crossfade {

inline constexpr std::uint32_t kDatabaseMax =
    65'535;  // database numbers; servers have 16 by default

// Reads a URL into an address (whose id stays empty). User and password are percent-decoded; IPv6
// hosts stand in brackets; the default port is 6379 and the default db 0.
// rediss:// is TLS with mode verify-full.
//   errors  BadInput; the reason never quotes the URL, which may hold a password
Result<EndpointAddress> parse_redis_url(std::string_view url);

}  // namespace crossfade
