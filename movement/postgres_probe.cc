// Asking a PostgreSQL server about itself, by libpq's calls that do not block.
#include "movement/postgres_probe.h"

#include <libpq-fe.h>

#include <chrono>
#include <string>
#include <utility>

#include "movement/postgres_client.h"

namespace crossfade {

namespace {

Error failed(Errc code, const EndpointAddress& address, std::string reason) {
  return {code, "reach endpoint '" + address.id + "'", std::move(reason)};
}

// Without credentials of the endpoint nobody can be let in: whether it takes connections is all.
Result<PostgresProbe> ping(const EndpointAddress& address, const PostgresParameters& parameters) {
  switch (PQpingParams(parameters.names().data(), parameters.values().data(), 0)) {
    case PQPING_OK:
      return PostgresProbe{};
    case PQPING_REJECT:
      return failed(Errc::Unavailable, address, "it is starting up, or shutting down");
    case PQPING_NO_RESPONSE:
    case PQPING_NO_ATTEMPT:
      break;
  }
  return failed(Errc::Unavailable, address, "no answer");
}

}  // namespace

Result<PostgresProbe> probe_postgres(const EndpointAddress& address, std::uint32_t timeout_ms) {
  using Clock = std::chrono::steady_clock;
  const auto began = Clock::now();
  const Deadline end = began + std::chrono::milliseconds(timeout_ms);
  const PostgresParameters parameters(address, timeout_ms);
  const auto spent_us = [&] {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count());
  };
  if (address.username.empty()) {
    auto told = ping(address, parameters);
    if (told) told->latency_us = spent_us();
    return told;
  }
  auto connection = log_in(address, parameters, end);
  if (!connection) return connection.error();
  auto rows = ask(connection->get(), address,
                  "SELECT pg_catalog.current_setting('server_version'),"
                  " pg_catalog.pg_is_in_recovery()",
                  {}, end);
  if (!rows) return Error{Errc::Unavailable, rows.error().doing, rows.error().reason};
  if (PQntuples(rows->get()) != 1) return failed(Errc::Unavailable, address, "no answer");
  const std::string version = PQgetvalue(rows->get(), 0, 0);
  return PostgresProbe{.entered = true,
                       .version = version.substr(0, version.find(' ')),
                       .recovers = PQgetvalue(rows->get(), 0, 1)[0] == 't',
                       .latency_us = spent_us()};
}

}  // namespace crossfade
