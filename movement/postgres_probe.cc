// Asking a PostgreSQL server about itself.
#include "movement/postgres_probe.h"

#include <chrono>
#include <stop_token>
#include <string>

#include "movement/postgres_connection.h"

namespace crossfade {

namespace {

Result<PostgresProbe> ask(const EndpointAddress& address, Deadline end) {
  auto connection = PostgresConnection::open(address, "", end, {});
  if (!connection) return connection.error();
  const auto row = connection->ask_row(
      "SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery()", end);
  if (!row) return row.error();
  const std::string& version = row->front();
  return PostgresProbe{.entered = true,
                       .version = version.substr(0, version.find(' ')),
                       .recovers = row->back() == "t",
                       .latency_us = 0};
}

}  // namespace

Result<PostgresProbe> probe_postgres(const EndpointAddress& address, std::uint32_t timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  Result<PostgresProbe> told = PostgresProbe{};
  if (address.username.empty()) {
    if (const Status status = ping_postgres(address, timeout_ms); !status) return status.error();
  } else {
    told = ask(address, began + std::chrono::milliseconds(timeout_ms));
  }
  if (!told) return told;
  told->latency_us = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count());
  return told;
}

}  // namespace crossfade
