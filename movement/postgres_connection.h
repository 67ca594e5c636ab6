// A connection to a PostgreSQL server, by libpq's calls that do not block: within a time, and no
// longer than wanted. For questions beside the request path.
//
// Texts of errors name the endpoint's id and never its credentials.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "movement/dial.h"
#include "protocols/base/result.h"
#include "strategies/ports.h"

struct pg_conn;  // libpq's
struct pg_result;

namespace crossfade {

// Fields of one row; null is empty. Valid until the next one.
using PostgresRow = std::span<const std::string_view>;

class PostgresConnection {
 public:
  // Logs in with the endpoint's user, to `database`, or to the endpoint's where that is empty.
  //   options   settings of the session, as libpq's word of that name has them
  //   errors    Unavailable: not reached, or no answer in time; BadConfig: the server refused
  static Result<PostgresConnection> open(const EndpointAddress& address,
                                         const std::string& database, Deadline end,
                                         std::stop_token stop, const char* options = "");

  // Asks, and hands over the rows of the last statement one by one as they come. False from `take`
  // gives up.
  //   errors  Unavailable, also where the server has cancelled it; BadInput: it refused the query;
  //           in its words
  Status ask(const char* sql, Deadline end, const std::function<bool(PostgresRow)>& take);

  // Likewise one statement, with `value` for its $1.
  Status ask_of(const char* sql, const std::string& value, Deadline end,
                const std::function<bool(PostgresRow)>& take);

  // Has a statement prepared, as the unnamed one, and runs nothing of it.
  //   errors  as ask()
  Result<SqlShape> describe(const std::string& sql, Deadline end);

  // The fields of the one row that a query gives.
  //   errors  as above, and where there is no row or more than one
  Result<std::vector<std::string>> ask_row(const char* sql, Deadline end);

 private:
  struct Closer {
    void operator()(pg_conn* connection) const noexcept;
  };
  PostgresConnection(std::string endpoint, std::unique_ptr<pg_conn, Closer> connection,
                     std::stop_token stop)
      : endpoint_(std::move(endpoint)),
        connection_(std::move(connection)),
        stop_(std::move(stop)) {}

  Status wait(short events, Deadline end) const;
  // Calls look(result) for all that is answered, which none but this libpq is to know (PGresult).
  Status take_results(Deadline end, const std::function<void(const pg_result*)>& look);
  Result<std::vector<std::string>> names_of_types(const std::vector<std::uint32_t>& types,
                                                  Deadline end);
  Status take_rows(Deadline end, const std::function<bool(PostgresRow)>& take);
  Error failed(Errc code, std::string reason) const;
  Error failed(Errc code) const;  // in libpq's words

  std::string endpoint_;  // id
  std::unique_ptr<pg_conn, Closer> connection_;
  std::stop_token stop_;
};

// Whether a server takes connections, for whom it would not let in.
//   errors  Unavailable
Status ping_postgres(const EndpointAddress& address, std::uint32_t timeout_ms);

}  // namespace crossfade
