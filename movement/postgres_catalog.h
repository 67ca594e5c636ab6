// The catalog of a PostgreSQL database, read whole over one short connection. Changes nothing
// there.
#pragma once

#include <cstdint>
#include <stop_token>

#include "protocols/base/result.h"
#include "strategies/ports.h"

namespace crossfade {

inline constexpr std::size_t kCatalogMax = 64u << 20;  // bytes of all rows

// Asks kSqlCatalogQuery as the endpoint's user, of the database that it names. Blocks up to
// timeout_ms, and little longer than until a stop is requested.
//   errors  as probe_postgres(); Overloaded: more than kCatalogMax; BadInput: the server refused
Result<CatalogRows> read_postgres_catalog(const EndpointAddress& address, std::uint32_t timeout_ms,
                                          std::stop_token stop);

}  // namespace crossfade
