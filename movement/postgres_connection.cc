// Connecting and asking by libpq, step by step.
#include "movement/postgres_connection.h"

#include <libpq-fe.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "movement/postgres_parameters.h"

namespace crossfade {

namespace {

constexpr std::size_t kFieldsMax = 64;  // of a row of what we ask

struct ResultCloser {
  void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using ResultRows = std::unique_ptr<PGresult, ResultCloser>;

Error failure(Errc code, const std::string& endpoint, std::string reason) {
  return {code, "reach endpoint '" + endpoint + "'", std::move(reason)};
}

// The first line of what libpq says, which names no password.
std::string first_line(const char* text) {
  const std::string all = text;
  return all.substr(0, all.find('\n'));
}

std::uint32_t left_ms(Deadline end) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
  return static_cast<std::uint32_t>(std::max<std::int64_t>(left.count(), 1));
}

// What ended a question says nothing about it: the server was short of something, the question was
// cancelled, something was locked, or the server goes down (PostgreSQL, Appendix A: classes 40, 53,
// 55 and 57).
bool is_passing(const PGresult* result) {
  const char* const sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
  if (sqlstate == nullptr) return false;
  const std::string_view sort = std::string_view(sqlstate).substr(0, 2);
  return sort == "40" || sort == "53" || sort == "55" || sort == "57";
}

}  // namespace

void PostgresConnection::Closer::operator()(pg_conn* connection) const noexcept {
  PQfinish(connection);
}

Error PostgresConnection::failed(Errc code, std::string reason) const {
  return failure(code, endpoint_, std::move(reason));
}

Error PostgresConnection::failed(Errc code) const {
  return failed(code, first_line(PQerrorMessage(connection_.get())));
}

Status PostgresConnection::wait(short events, Deadline end) const {
  switch (wait_for(PQsocket(connection_.get()), events, end, stop_)) {
    case Waited::Ready:
      return success();
    case Waited::Late:
      return failed(Errc::Unavailable, "no answer in time");
    case Waited::Stopped:
      break;
  }
  return failed(Errc::Unavailable, "the sidecar stops");
}

Result<PostgresConnection> PostgresConnection::open(const EndpointAddress& address,
                                                    const std::string& database, Deadline end,
                                                    std::stop_token stop, const char* options) {
  PostgresParameters parameters(address, database, left_ms(end));
  if (*options != '\0') parameters.add("options", options);
  PostgresConnection opened(address.id,
                            std::unique_ptr<pg_conn, Closer>(PQconnectStartParams(
                                parameters.names().data(), parameters.values().data(), 0)),
                            std::move(stop));
  PGconn* const connection = opened.connection_.get();
  if (connection == nullptr) return opened.failed(Errc::System, "out of memory");
  for (PostgresPollingStatusType next = PGRES_POLLING_WRITING; next != PGRES_POLLING_OK;
       next = PQconnectPoll(connection)) {
    if (next == PGRES_POLLING_FAILED || PQstatus(connection) == CONNECTION_BAD) {
      const bool answered = PQserverVersion(connection) != 0 ||
                            PQconnectionNeedsPassword(connection) != 0 ||
                            PQconnectionUsedPassword(connection) != 0;
      return opened.failed(answered ? Errc::BadConfig : Errc::Unavailable);
    }
    const auto waited = opened.wait(next == PGRES_POLLING_READING ? POLLIN : POLLOUT, end);
    if (!waited) return waited.error();
  }
  return opened;
}

Status PostgresConnection::ask(const char* sql, Deadline end,
                               const std::function<bool(PostgresRow)>& take) {
  if (PQsendQuery(connection_.get(), sql) != 1) return failed(Errc::Unavailable);
  return take_rows(end, take);
}

Status PostgresConnection::ask_of(const char* sql, const std::string& value, Deadline end,
                                  const std::function<bool(PostgresRow)>& take) {
  const char* const values[] = {value.c_str()};
  if (PQsendQueryParams(connection_.get(), sql, 1, nullptr, values, nullptr, nullptr, 0) != 1) {
    return failed(Errc::Unavailable);
  }
  return take_rows(end, take);
}

Status PostgresConnection::take_rows(Deadline end, const std::function<bool(PostgresRow)>& take) {
  PGconn* const connection = connection_.get();
  if (PQsetSingleRowMode(connection) != 1) return failed(Errc::System);
  std::array<std::string_view, kFieldsMax> fields;
  for (;;) {
    while (PQisBusy(connection) != 0) {
      if (Status waited = wait(POLLIN, end); !waited) return waited;
      if (PQconsumeInput(connection) != 1) return failed(Errc::Unavailable);
    }
    const ResultRows result(PQgetResult(connection));
    if (!result) return success();
    const ExecStatusType status = PQresultStatus(result.get());
    if (status == PGRES_SINGLE_TUPLE) {
      const auto count = std::min(static_cast<std::size_t>(PQnfields(result.get())), kFieldsMax);
      for (std::size_t i = 0; i < count; ++i) {
        const int field = static_cast<int>(i);
        fields[i] = {PQgetvalue(result.get(), 0, field),
                     static_cast<std::size_t>(PQgetlength(result.get(), 0, field))};
      }
      if (!take(std::span(fields).first(count))) {
        return failed(Errc::Overloaded, "the answer is larger than is taken");
      }
    } else if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
      const std::string words = first_line(PQresultErrorMessage(result.get()));
      const bool refused = PQstatus(connection) == CONNECTION_OK && !is_passing(result.get());
      return failed(refused ? Errc::BadInput : Errc::Unavailable, words);
    }
  }
}

Status PostgresConnection::take_results(Deadline end,
                                        const std::function<void(const pg_result*)>& look) {
  PGconn* const connection = connection_.get();
  Status told = success();
  for (;;) {
    while (PQisBusy(connection) != 0) {
      if (Status waited = wait(POLLIN, end); !waited) return waited;
      if (PQconsumeInput(connection) != 1) return failed(Errc::Unavailable);
    }
    const ResultRows result(PQgetResult(connection));
    if (!result) return told;
    if (PQresultStatus(result.get()) == PGRES_COMMAND_OK) {
      look(result.get());
      continue;
    }
    const bool refused = PQstatus(connection) == CONNECTION_OK && !is_passing(result.get());
    told = failed(refused ? Errc::BadInput : Errc::Unavailable,
                  first_line(PQresultErrorMessage(result.get())));
  }
}

Result<SqlShape> PostgresConnection::describe(const std::string& sql, Deadline end) {
  PGconn* const connection = connection_.get();
  if (PQsendPrepare(connection, "", sql.c_str(), 0, nullptr) != 1) {
    return failed(Errc::Unavailable);
  }
  Status status = take_results(end, [](const pg_result*) {});
  if (!status) return status.error();
  if (PQsendDescribePrepared(connection, "") != 1) return failed(Errc::Unavailable);
  SqlShape shape{.parameters = {}};
  std::vector<std::uint32_t> types;
  status = take_results(end, [&](const pg_result* result) {
    for (int i = 0; i < PQnparams(result); ++i) types.push_back(PQparamtype(result, i));
    shape.parameters.resize(types.size());
    for (int i = 0; i < PQnfields(result); ++i) {
      shape.columns.emplace_back(PQfname(result, i), "");
      types.push_back(PQftype(result, i));
    }
  });
  if (!status) return status.error();
  auto names = names_of_types(types, end);
  if (!names) return names.error();
  std::size_t next = 0;
  for (std::string& type : shape.parameters) type = std::move((*names)[next++]);
  for (auto& [name, type] : shape.columns) type = std::move((*names)[next++]);
  return shape;
}

Result<std::vector<std::string>> PostgresConnection::names_of_types(
    const std::vector<std::uint32_t>& types, Deadline end) {
  std::string list = "{";
  for (const std::uint32_t type : types)
    list += (list.size() > 1 ? "," : "") + std::to_string(type);
  std::vector<std::string> names;
  const Status asked = ask_of(
      "SELECT pg_catalog.format_type(type, NULL) FROM pg_catalog.unnest($1::pg_catalog.oid[])"
      " WITH ORDINALITY AS types (type, place) ORDER BY place",
      list + "}", end, [&](PostgresRow row) {
        names.emplace_back(row[0]);
        return true;
      });
  if (!asked) return asked.error();
  if (names.size() != types.size()) return failed(Errc::BadInput, "not all types have a name");
  return names;
}

Result<std::vector<std::string>> PostgresConnection::ask_row(const char* sql, Deadline end) {
  std::vector<std::string> row;
  std::size_t rows = 0;
  const Status asked = ask(sql, end, [&](PostgresRow fields) {
    row.assign(fields.begin(), fields.end());
    return ++rows == 1;
  });
  if (!asked) return asked.error();
  if (rows != 1) return failed(Errc::BadInput, "a question for one row had none");
  return row;
}

Status ping_postgres(const EndpointAddress& address, std::uint32_t timeout_ms) {
  const PostgresParameters parameters(address, "", timeout_ms);
  switch (PQpingParams(parameters.names().data(), parameters.values().data(), 0)) {
    case PQPING_OK:
      return success();
    case PQPING_REJECT:
      return failure(Errc::Unavailable, address.id, "it is starting up, or shutting down");
    case PQPING_NO_RESPONSE:
    case PQPING_NO_ATTEMPT:
      break;
  }
  return failure(Errc::Unavailable, address.id, "no answer");
}

}  // namespace crossfade
