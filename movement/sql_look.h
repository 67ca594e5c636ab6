// A second look at transactions of PostgreSQL whose results differed: both sides are asked again.
//
// Only what certainly only reads is asked, in a transaction that is read only, under a time limit
// of the server's own, and rolled back. Connections are its own, with the endpoints' own users: a
// difference that shows only to the client's user is not seen. One thread's.
#pragma once

#include <chrono>
#include <list>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "movement/postgres_wire.h"
#include "protocols/postgres/result_digest.h"
#include "strategies/ports.h"

namespace crossfade {

// What one server has answered to the reads of a mismatch.
struct ToldAgain {
  postgres::ResultDigest digest;
  std::string bytes;  // its messages
};

// A connection to one server for sessions of one kind, made when it is needed.
class AskedServer {
 public:
  AskedServer(EndpointAddress address, const AskedSql& sql, const CompareSettings& settings,
              std::stop_token stop);

  // Asks the reads again. A server that failed is left alone for compare_timeout_ms.
  //   reads   of the mismatch, as this server is asked them
  //   errors  Unavailable; BadConfig: its user is not let in, or not let have these settings;
  //           Overloaded (compare_again_max)
  Result<ToldAgain> ask(const AskedSql& sql, const std::string& reads);
  bool serves(const EndpointAddress& address, const AskedSql& sql) const;
  void hang_up() { connection_.reset(); }

 private:
  Status make_ready();
  Result<ToldAgain> ask_once(const AskedSql& sql, const std::string& reads);
  Status prepare(const std::string& settings);

  EndpointAddress address_;
  PostgresWire::Entry entry_;
  const CompareSettings& settings_;
  std::stop_token stop_;
  std::optional<PostgresWire> connection_;
  std::chrono::steady_clock::time_point not_before_{};
};

class SqlLook {
 public:
  // Soon after a stop is requested every answer is given up.
  SqlLook(const CompareSettings& settings, std::stop_token stop)
      : settings_(settings), stop_(std::move(stop)) {}

  // What comes of a pair that was judged Different: Race, Tolerable (only the order of rows still
  // differs), Chance, Real or Unsure. Where it still differs, `mismatch` then has in what, and both
  // sides' messages, as they are now.
  //   mismatch  `sql` is set
  //   cost      blocks: at most three questions, each of few steps that compare_timeout_ms bounds
  MismatchClass look(Mismatch& mismatch);
  // Nothing is to be asked just now: the servers get their connections back.
  void hang_up() {
    for (AskedServer& server : servers_) server.hang_up();
  }

 private:
  AskedServer& server_at(const EndpointAddress& address, const AskedSql& sql);

  const CompareSettings& settings_;
  std::stop_token stop_;
  std::list<AskedServer> servers_;  // most recently used first
};

}  // namespace crossfade
