// Rows of the catalog, copied as they come.
#include "movement/postgres_catalog.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "movement/postgres_connection.h"
#include "protocols/postgres/sql_catalog_learn.h"

namespace crossfade {

namespace {
constexpr const char* kNoLimits =
    "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '0', true)";
}  // namespace

Result<CatalogRows> read_postgres_catalog(const EndpointAddress& address, std::uint32_t timeout_ms,
                                          std::stop_token stop) {
  const Deadline end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  auto connection = PostgresConnection::open(address, "", end, std::move(stop));
  if (!connection) return connection.error();
  // The limits that users have are for what users ask; `timeout_ms` is ours.
  for (const char* const sql : {"BEGIN READ ONLY", kNoLimits}) {
    const Status begun = connection->ask(sql, end, [](PostgresRow) { return true; });
    if (!begun) return begun.error();
  }
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
