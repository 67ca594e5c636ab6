// Rows of the catalog, copied as they come.
#include "movement/postgres_catalog.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "movement/postgres_connection.h"
#include "protocols/postgres/sql_catalog_learn.h"

namespace crossfade {

Result<CatalogRows> read_postgres_catalog(const EndpointAddress& address, std::uint32_t timeout_ms,
                                          std::stop_token stop) {
  const Deadline end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  auto connection = PostgresConnection::open(address, "", end, std::move(stop));
  if (!connection) return connection.error();
  CatalogRows rows;
  std::size_t bytes = 0;
  const Status asked = connection->ask(postgres::kSqlCatalogQuery, end, [&](PostgresRow fields) {
    CatalogRows::value_type& row = rows.emplace_back();
    std::copy_n(fields.begin(), std::min(fields.size(), row.size()), row.begin());
    for (const std::string_view field : fields) bytes += field.size();
    return bytes <= kCatalogMax;
  });
  if (!asked) return asked.error();
  return rows;
}

}  // namespace crossfade
