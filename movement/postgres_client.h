// A connection to a PostgreSQL server for a thread that waits: by libpq's calls that do not block,
// as the endpoint says, within a time.
//
// Knows nothing of what is asked.
#pragma once

#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "movement/dial.h"
#include "protocols/base/result.h"
#include "strategies/ports.h"

struct pg_conn;
struct pg_result;

namespace crossfade {

struct FreePostgres {
  void operator()(pg_conn* connection) const noexcept;
  void operator()(pg_result* result) const noexcept;
};
using PostgresConnection = std::unique_ptr<pg_conn, FreePostgres>;
using PostgresRows = std::unique_ptr<pg_result, FreePostgres>;

// What libpq is told of an endpoint: names and values. PEMs that were given as texts lie in memory
// for as long as this lives, where libpq opens them as files.
class PostgresParameters {
 public:
  PostgresParameters(const EndpointAddress& address, std::uint32_t timeout_ms);
  ~PostgresParameters();
  PostgresParameters(const PostgresParameters&) = delete;
  PostgresParameters& operator=(const PostgresParameters&) = delete;

  void add(const char* name, std::string value);
  std::vector<const char*> names() const { return pointers(names_); }
  std::vector<const char*> values() const { return pointers(values_); }

 private:
  void add_tls(const EndpointAddress& address);
  void add_pem(const char* name, const std::string& source);
  static std::vector<const char*> pointers(const std::vector<std::string>& texts);

  std::vector<std::string> names_;
  std::vector<std::string> values_;
  std::vector<int> texts_;  // descriptors
};

//   errors  Unavailable: not reached, or no answer in time; BadConfig: the server refused the
//           login. Texts name the endpoint's id and never its credentials.
Result<PostgresConnection> log_in(const EndpointAddress& address,
                                  const PostgresParameters& parameters, Deadline end,
                                  const std::stop_token& stop = {});

// The rows of one statement, all in text; `values` are its parameters.
//   errors  Unavailable: the connection is of no use any more; BadInput: the server refused the
//           statement; `reason` is its message
Result<PostgresRows> ask(pg_conn* connection, const EndpointAddress& address, const char* sql,
                         const std::vector<std::string>& values, Deadline end,
                         const std::stop_token& stop = {});

}  // namespace crossfade
