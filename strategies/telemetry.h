// What the data plane counts: plain numbers, summed over its loops, as control publishes them.
//
// Names here are the stems of the metric names; README and docs list them.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "protocols/base/kind.h"
#include "strategies/mismatch.h"
#include "strategies/plan.h"

namespace crossfade {

// Log-linear latency histogram. Bucket i holds values below bound_ns(i); the last one holds the
// rest.
//   four buckets per power of two from 1,024 ns to about 17 s
struct Histogram {
  static constexpr std::size_t kBuckets = 98;
  static constexpr std::uint64_t bound_ns(std::size_t i) {
    return (std::uint64_t{1024} << (i / 4)) / 4 * (4 + i % 4);
  }
  std::array<std::uint64_t, kBuckets> counts{};
  std::uint64_t sum_ns = 0;
  std::uint64_t total = 0;
};

// Why a second leg (copy or dual write) did not reach its end. The values of the `reason` label.
enum class Drop : std::uint8_t {
  SideDown,        // side unreachable, or not tried again yet
  Overflow,        // second_inflight_max or second_bytes_max
  Timeout,         // sent, not answered within second_leg_timeout_ms
  ConnectionLost,  // sent or queued, connection closed before the reply
  Blocking,        // would block the second side's connection
  Oversize,        // transaction or request that cannot be copied
  Closed,          // interlay stopped or process ended before the reply
  StateRefused     // the side refused this session's login, database or protocol
};
inline constexpr std::size_t kDrops = 8;
constexpr const char* name_of(Drop drop) {
  switch (drop) {
    case Drop::SideDown:
      return "side_down";
    case Drop::Overflow:
      return "overflow";
    case Drop::Timeout:
      return "timeout";
    case Drop::ConnectionLost:
      return "connection_lost";
    case Drop::Blocking:
      return "blocking";
    case Drop::Oversize:
      return "oversize";
    case Drop::Closed:
      return "closed";
    case Drop::StateRefused:
      return "state_refused";
  }
  return "closed";
}

// Limits whose hits are counted. The values of the `limit` label.
enum class Limit : std::uint8_t {
  ClientsMax,
  PipelineMax,
  OutputBufferMax,
  UnreadMax,
  RequestHeadMax,
  ReorderMax,
  ConnectTimeout,
  HandshakeTimeout,
  LoginTimeout,
  AnswerTimeout,
  OrderWait,
  SqlLengthMax,
  SegmentMax,
  StatementsMax,
  CustomSettingsMax,
  SideChangeWait
};
inline constexpr std::size_t kLimits = 16;
constexpr const char* name_of(Limit limit) {
  switch (limit) {
    case Limit::ClientsMax:
      return "clients_max";
    case Limit::PipelineMax:
      return "pipeline_max";
    case Limit::OutputBufferMax:
      return "output_buffer_max";
    case Limit::UnreadMax:
      return "unread_max";
    case Limit::RequestHeadMax:
      return "request_head_max";
    case Limit::ReorderMax:
      return "reorder_max";
    case Limit::ConnectTimeout:
      return "connect_timeout_ms";
    case Limit::HandshakeTimeout:
      return "handshake_timeout_ms";
    case Limit::LoginTimeout:
      return "login_timeout_ms";
    case Limit::AnswerTimeout:
      return "answer_timeout_ms";
    case Limit::OrderWait:
      return "order_wait_ms";
    case Limit::SqlLengthMax:
      return "sql_length_max";
    case Limit::SegmentMax:
      return "segment_max";
    case Limit::StatementsMax:
      return "statements_max";
    case Limit::CustomSettingsMax:
      return "custom_settings_max";
    case Limit::SideChangeWait:
      return "side_change_wait_ms";
  }
  return "clients_max";
}

// How a TLS handshake ended. The values of the `result` label.
enum class Handshake : std::uint8_t { Full, Resumed, Failed, Timeout };
inline constexpr std::size_t kHandshakes = 4;
constexpr const char* name_of(Handshake result) {
  switch (result) {
    case Handshake::Full:
      return "full";
    case Handshake::Resumed:
      return "resumed";
    case Handshake::Failed:
      return "failed";
    case Handshake::Timeout:
      return "timeout";
  }
  return "failed";
}

// Whom it was with. The values of the `peer` label.
enum class Peer : std::uint8_t { Old, New, Client };
inline constexpr std::size_t kPeers = 3;
constexpr Peer peer_at(Side side) { return side == Side::Old ? Peer::Old : Peer::New; }
constexpr const char* name_of(Peer peer) {
  switch (peer) {
    case Peer::Old:
      return "old";
    case Peer::New:
      return "new";
    case Peer::Client:
      return "client";
  }
  return "client";
}

// Why a login of PostgreSQL was refused. The values of the `reason` label.
enum class LoginRefused : std::uint8_t {
  Password,     // wrong, or of nobody
  Protocol,     // what the client sent belongs to no login
  Plain,        // the port takes clients over TLS only
  Binding,      // tied to a TLS connection that is another one
  LookUp,       // whether there is such a user could not be found out
  Entry,        // the home server does not let the sidecar in for it
  Server,       // the home server said no in its own words
  Unreachable,  // the home server
  Timeout,      // login_timeout_ms
  Draining      // the port closes
};
inline constexpr std::size_t kLoginsRefused = 10;
constexpr const char* name_of(LoginRefused why) {
  switch (why) {
    case LoginRefused::Password:
      return "password";
    case LoginRefused::Protocol:
      return "protocol";
    case LoginRefused::Plain:
      return "plain";
    case LoginRefused::Binding:
      return "binding";
    case LoginRefused::LookUp:
      return "look_up";
    case LoginRefused::Entry:
      return "entry";
    case LoginRefused::Server:
      return "server";
    case LoginRefused::Unreachable:
      return "unreachable";
    case LoginRefused::Timeout:
      return "timeout";
    case LoginRefused::Draining:
      return "draining";
  }
  return "server";
}

// What became of the text of a query that was to be read. The values of the `result` label.
enum class SqlText : std::uint8_t {
  Cached,   // known from before
  Parsed,   //
  TooLong,  // sql_length_max
  Unclear,  // it has no clear end, or the session's settings give it another meaning
  Broken    // not in PostgreSQL 15's grammar
};
inline constexpr std::size_t kSqlTexts = 5;
constexpr const char* name_of(SqlText text) {
  switch (text) {
    case SqlText::Cached:
      return "cached";
    case SqlText::Parsed:
      return "parsed";
    case SqlText::TooLong:
      return "too_long";
    case SqlText::Unclear:
      return "unclear";
    case SqlText::Broken:
      return "broken";
  }
  return "unclear";
}

// Why a PostgreSQL session stays on a side that does not serve it any more. The values of the
// `reason` label. The first that holds counts.
enum class Stay : std::uint8_t {
  Transaction,  // it is in the midst of one, or of a request
  Listens,      // LISTEN
  TempObject,   // it has temporary tables, or other temporary objects
  HeldCursor,   // a cursor WITH HOLD
  SessionLock,  // an advisory lock of the session
  SessionUser,  // SET SESSION AUTHORIZATION
  Types,        // it has named types that users have made by their OIDs, which are its server's own
  Untold,       // its server did not tell what it holds, or there is more than is kept
  Refused,      // the other side did not take what it holds
  Unreachable   // the other side did not let it in
};
inline constexpr std::size_t kStays = 10;
constexpr const char* name_of(Stay stay) {
  switch (stay) {
    case Stay::Transaction:
      return "transaction";
    case Stay::Listens:
      return "listens";
    case Stay::TempObject:
      return "temp_object";
    case Stay::HeldCursor:
      return "held_cursor";
    case Stay::SessionLock:
      return "session_lock";
    case Stay::SessionUser:
      return "session_user";
    case Stay::Types:
      return "types";
    case Stay::Untold:
      return "untold";
    case Stay::Refused:
      return "refused";
    case Stay::Unreachable:
      return "unreachable";
  }
  return "transaction";
}

// Second legs of one sort. At rest: eligible == answered + sum(dropped); while running the
// difference is in flight.
struct SecondCounts {
  std::uint64_t eligible = 0;
  std::uint64_t answered = 0;    // shadow: "copied"
  std::uint64_t errors = 0;      // of those answered: error replies
  std::uint64_t mismatched = 0;  // replies compared and different
  std::uint64_t uncompared = 0;  // answered, but not comparable (chance, clock, order)
  std::array<std::uint64_t, kDrops> dropped{};
};

// Requests of one api that were routed by it, by answering side.
struct ApiTraffic {
  std::string api;
  std::array<std::uint64_t, kSides> requests{};
};

struct InterlayTraffic {
  std::string id;
  std::array<std::array<std::uint64_t, kKinds>, kSides>
      requests{};                                // [side][kind], by answering side
  std::array<std::uint64_t, kSides> errors{};    // error replies of the answering side
  std::array<std::uint64_t, kSides> failures{};  // connections lost, refused, timed out, garbled
  std::array<Histogram, kSides> leg;             // sent -> reply complete
  Histogram proxy;                               // the sidecar's own share of one request
  std::array<SecondCounts, 2> second;            // [0] copies (shadow), [1] dual writes
  MismatchCounts mismatches;    // of those mismatched: what came of them (main fills it in)
  std::uint64_t fallbacks = 0;  // reads that failed on new and were answered by old
  // Of these: not sent to new at all, and sent there (so among its requests) and not answered.
  std::uint64_t fallbacks_unsent = 0;
  std::uint64_t fallbacks_unanswered = 0;
  // Of its errors: told by us for a side that could not be reached, and not among its requests.
  std::array<std::uint64_t, kSides> unreached{};
  std::uint64_t new_only_writes = 0;   // writes answered by new that old did not get ...
  std::uint64_t new_only_unsure = 0;   // ... and those among them that it may have got
  std::uint64_t order_waits = 0;       // dual writes that had to wait for others of their keys
  std::uint64_t suspect_reads = 0;     // reads sent to the authority, as the ledger has their key
  std::uint64_t suspected_writes = 0;  // dual writes whose keys went into the ledger
  std::uint64_t refused_split = 0;     // requests whose keys lie on both sides of a split
  std::uint64_t refused_foreign = 0;   // requests of keys that new has in another form
  std::uint64_t refused_moved = 0;     // transactions of Redis whose side lost their keys meanwhile
  // Writes of Redis that a side was given before it lost them to the other one, and has, or may
  // have, run behind that: at most. A transaction is one.
  std::array<std::uint64_t, kSides> late_writes{};
  std::uint64_t protocol_errors = 0;  // malformed requests
  std::array<std::uint64_t, kLimits> limits{};
  std::array<std::uint64_t, 4> bytes{};  // from client, to client, from servers, to servers
  std::uint64_t sessions_open = 0;
  std::uint64_t sessions_total = 0;
  std::uint64_t tls_sessions_open = 0;                                      // of those open
  std::array<std::array<std::uint64_t, kHandshakes>, kPeers> handshakes{};  // [peer][result]
  std::uint64_t sessions_one_sided = 0;  // that new has not let in, or not in time: old answers
  std::uint64_t sessions_ended =
      0;  // closed because they were tied to a side that is not home any more
  std::array<std::uint64_t, kLoginsRefused> logins_refused{};
  std::array<std::uint64_t, kSqlTexts> sql_texts{};
  std::array<std::uint64_t, kStays> staying{};  // PostgreSQL sessions that should have gone over
  std::array<bool, kSides> down{};              // side currently not tried by at least one loop
  std::vector<ApiTraffic> apis;                 // where the strategy in force goes by api
};

struct Telemetry {
  std::uint64_t adopted_epoch = 0;  // the smallest over the loops
  std::vector<InterlayTraffic> interlays;
};

}  // namespace crossfade
