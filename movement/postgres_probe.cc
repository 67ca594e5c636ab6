// Asking a PostgreSQL server about itself, by libpq's calls that do not block.
#include "movement/postgres_probe.h"

#include <libpq-fe.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "movement/dial.h"

namespace crossfade {

namespace {

struct PgCloser {
  void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using Connection = std::unique_ptr<PGconn, PgCloser>;
using ResultRows = std::unique_ptr<PGresult, PgCloser>;

Error failed(Errc code, const EndpointAddress& address, std::string reason) {
  return {code, "reach endpoint '" + address.id + "'", std::move(reason)};
}

// The first line of what libpq says, which names no password.
std::string first_line(const char* text) {
  const std::string all = text;
  return all.substr(0, all.find('\n'));
}

class Parameters {
 public:
  Parameters(const EndpointAddress& address, std::uint32_t timeout_ms) {
    add("host", address.host);
    add("port", std::to_string(address.port));
    add("user", address.username.empty() ? std::string("crossfade") : address.username);
    if (!address.password.empty()) add("password", address.password);
    add("dbname", address.database.empty() ? std::string("postgres") : address.database);
    add("application_name", "crossfade");
    add("sslmode", "disable");
    add("gssencmode", "disable");
    add("connect_timeout", std::to_string(timeout_ms / 1000 + 1));
  }
  std::vector<const char*> names() const { return pointers(names_); }
  std::vector<const char*> values() const { return pointers(values_); }

 private:
  void add(const char* name, std::string value) {
    names_.emplace_back(name);
    values_.push_back(std::move(value));
  }
  static std::vector<const char*> pointers(const std::vector<std::string>& texts) {
    std::vector<const char*> all;
    for (const std::string& text : texts) all.push_back(text.c_str());
    all.push_back(nullptr);
    return all;
  }
  std::vector<std::string> names_;
  std::vector<std::string> values_;
};

bool wait(PGconn* connection, short events, Deadline end) {
  return wait_for(PQsocket(connection), events, end, std::stop_token()) == Waited::Ready;
}

Result<Connection> log_in(const EndpointAddress& address, const Parameters& parameters,
                          Deadline end) {
  Connection connection(
      PQconnectStartParams(parameters.names().data(), parameters.values().data(), 0));
  if (!connection) return failed(Errc::System, address, "out of memory");
  for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;
       next = PQconnectPoll(connection.get())) {
    if (next == PGRES_POLLING_FAILED || PQstatus(connection.get()) == CONNECTION_BAD) {
      const bool answered = PQserverVersion(connection.get()) != 0 ||
                            PQconnectionNeedsPassword(connection.get()) != 0 ||
                            PQconnectionUsedPassword(connection.get()) != 0;
      return failed(answered ? Errc::BadConfig : Errc::Unavailable, address,
                    first_line(PQerrorMessage(connection.get())));
    }
    if (!wait(connection.get(), next == PGRES_POLLING_READING ? POLLIN : POLLOUT, end)) {
      return failed(Errc::Unavailable, address, "no answer in time");
    }
  }
  return connection;
}

// The one row that a query gives.
Result<ResultRows> ask(PGconn* connection, const EndpointAddress& address, const char* sql,
                       Deadline end) {
  if (PQsendQuery(connection, sql) != 1) {
    return failed(Errc::Unavailable, address, first_line(PQerrorMessage(connection)));
  }
  ResultRows last;
  for (;;) {
    while (PQisBusy(connection) != 0) {
      if (!wait(connection, POLLIN, end)) {
        return failed(Errc::Unavailable, address, "no answer in time");
      }
      if (PQconsumeInput(connection) != 1) {
        return failed(Errc::Unavailable, address, first_line(PQerrorMessage(connection)));
      }
    }
    ResultRows next(PQgetResult(connection));
    if (!next) break;
    last = std::move(next);
  }
  if (!last || PQresultStatus(last.get()) != PGRES_TUPLES_OK || PQntuples(last.get()) != 1) {
    return failed(Errc::Unavailable, address, first_line(PQerrorMessage(connection)));
  }
  return last;
}

// Without credentials of the endpoint nobody can be let in: whether it takes connections is all.
Result<PostgresProbe> ping(const EndpointAddress& address, const Parameters& parameters) {
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
  const Parameters parameters(address, timeout_ms);
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
  auto row = ask(connection->get(), address,
                 "SELECT pg_catalog.current_setting('server_version'),"
                 " pg_catalog.pg_is_in_recovery()",
                 end);
  if (!row) return row.error();
  const std::string version = PQgetvalue(row->get(), 0, 0);
  return PostgresProbe{.entered = true,
                       .version = version.substr(0, version.find(' ')),
                       .recovers = PQgetvalue(row->get(), 0, 1)[0] == 't',
                       .latency_us = spent_us()};
}

}  // namespace crossfade
