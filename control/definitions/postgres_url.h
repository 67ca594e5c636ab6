// postgresql://[user[:password]@]host[:port][/database][?sslmode=…&sslrootcert=…&sslcert=…&…]
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/base/result.h"
#include "strategies/table.h"

namespace crossfade {

inline constexpr std::uint16_t kPostgresPort = 5432;

// Reads a URL into an address (whose id stays empty); postgres:// is the same. As libpq has it, but
// for lists of hosts and unix sockets, and with the parameters of TLS only; without sslmode it is
// `prefer`, which `allow` means as well.
//   errors  BadInput; the reason never quotes the URL, which may hold a password
Result<EndpointAddress> parse_postgres_url(std::string_view url);

}  // namespace crossfade
