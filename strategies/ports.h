// The doors between control and the rest of the process, as plain functions that main connects.
//
// Control never sees a loop, a socket of the data plane, or a database client: it hands tables to a
// DataPlane, asks a Prober about servers, has a Verifier compare two of them, keeps the ledger that
// the data plane writes to, and gives the repair worker its work. Tests hand it lambdas.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/result.h"
#include "protocols/postgres/redefined.h"
#include "strategies/ledger.h"
#include "strategies/mismatch.h"
#include "strategies/table.h"
#include "strategies/telemetry.h"

namespace crossfade {

struct ListenSpec {
  std::string interlay;  // id; its route must be in the published table
  std::string bind;      // numeric address
  std::uint16_t port;    // 0: any free one
};

struct DataPlane {
  // Hands a table to every loop and returns when all have adopted it: no request is planned by an
  // older one afterwards. Epochs must increase. Errc::Timeout when a loop is silent for 10 s.
  std::function<Status(TablePtr)> publish;
  // Opens the interlay's port on every loop; returns the port. Errc::Conflict when it is in use.
  std::function<Result<std::uint16_t>(const ListenSpec&)> listen;
  // Closes the port, lets the interlay's running requests finish (at most drain_ms), ends its
  // sessions.
  std::function<void(const std::string& interlay, std::uint32_t drain_ms)> unlisten;
  std::function<Telemetry()> telemetry;
};

// Which process answers at an address, and what it has dropped by itself.
struct ServerSight {
  std::string run_id = {};  // another one after each start; empty: not told
  // To stay within its maxmemory, since it began or was told to count anew; nullopt: not told.
  std::optional<std::uint64_t> evicted_keys = {};
  std::uint32_t takeovers = 0;  // how often it was seen to take another server's data for its own

  bool operator==(const ServerSight&) const = default;
};

// What a Redis server says about itself. Filled by one short connection.
struct RedisProbe {
  std::string version;  // "7.0.15"
  std::string server;   // "redis" | "valkey" | …
  std::string role;     // "master" | "slave"
  ServerSight sight;
  std::string eviction_policy;  // "noeviction", "allkeys-lru", …; empty: not told
  bool loading = false;
  bool cluster = false;
  std::uint32_t databases = 16;
  bool persists = false;                                // AOF on, or RDB save points configured
  bool persistence_known = false;                       // CONFIG GET may be forbidden
  std::uint64_t used_memory = 0;                        // bytes
  std::uint64_t maxmemory = 0;                          // bytes; 0: none
  std::uint64_t keys = 0;                               // in all databases
  std::uint64_t latency_us = 0;                         // of one PING
  std::shared_ptr<const redis::CommandTable> commands;  // null when COMMAND was refused
  std::string ping_refusal;   // what it answers to PING, where that is an error; else empty
  bool info_refused = false;  // all that INFO tells is unknown
};

// Whether a Redis server takes writes, found out without making one.
struct WritesTold {
  // Silent: it was not reached, or has not answered in time, as one does that hangs for writes.
  enum class Answer : std::uint8_t { Taken, Refused, Silent, NotTold } answer = Answer::NotTold;
  std::string why = {};  // it does not take them, or does not tell; mostly in its own words
};

// What a PostgreSQL server says about itself: much to those whom it lets in, little to others.
struct PostgresProbe {
  bool entered = false;   // the endpoint's credentials, or none, were enough
  std::string version;    // "15.8"; empty: not told
  bool recovers = false;  // it is a standby, and takes no writes
  std::uint64_t latency_us = 0;
  ServerSight sight = {};  // its run_id is the instant at which the server began
};

// What a migration's two PostgreSQL servers are compared by. Empty where the endpoint's user was
// not let in.
struct PostgresSurvey {
  PostgresProbe probe;
  std::string system_identifier;  // that of copies and standbys, too; empty: not told
  // Of the endpoint's database.
  std::string encoding;                            // "UTF8"
  std::string locale;                              // all of it, as one word
  std::map<std::string, std::string> extensions;   // and their versions
  std::map<std::string, std::string> tables;       // "schema.name": a digest of their columns
  std::map<std::string, std::string> functions;    // "schema.name(arguments)": i, s or v
  std::map<std::string, std::string> defaults;     // "name of role x of database y": its value
  std::map<std::string, std::string> policies;     // of rows, and tables that have them in force
  std::map<std::string, std::string> constraints;  // "name on schema.table": a digest of its text
  std::map<std::string, std::string> indexes;      // "schema.name": likewise
  // "schema.name": its increment, and its position, "-" before the first; without: not told.
  std::map<std::string, std::string> sequences;
  // Of the whole server.
  std::set<std::string> databases;              // that take connections, without templates
  std::set<std::string> roles;                  // that may log in
  std::map<std::string, std::string> settings;  // some
  std::map<std::string, std::string> prepared;  // transactions by their name: their database
  std::uint64_t sessions = 0;                   // clients that are connected
};

// The catalog of one PostgreSQL database: rows of postgres::kSqlCatalogQuery, in its order of rows
// and fields.
using CatalogRows = std::vector<std::array<std::string, 5>>;

// What a PostgreSQL server says of a statement that it has prepared and not run.
struct SqlShape {
  std::vector<std::string> parameters;                            // their types
  std::vector<std::pair<std::string, std::string>> columns = {};  // names and types

  bool operator==(const SqlShape&) const = default;
};

struct Prober {
  // Connects, logs in with the endpoint's credentials, selects its db, asks. Blocks up to
  // timeout_ms.
  std::function<Result<RedisProbe>(const EndpointAddress&, std::uint32_t timeout_ms)> redis;
  // Has a write queued as the endpoint's user, and discarded. Likewise.
  std::function<WritesTold(const EndpointAddress&, std::uint32_t timeout_ms)> redis_writes = {};
  // As redis(). An endpoint without credentials need not let us in: its clients bring their own.
  std::function<Result<PostgresProbe>(const EndpointAddress&, std::uint32_t timeout_ms)> postgres =
      {};
  // As postgres(), and asks for more.
  std::function<Result<PostgresSurvey>(const EndpointAddress&, std::uint32_t timeout_ms)> survey =
      {};
  // Reads the catalog of the database that the endpoint names, as its user. Blocks up to
  // timeout_ms, and little longer than until a stop is requested.
  std::function<Result<CatalogRows>(const EndpointAddress&, std::uint32_t timeout_ms,
                                    std::stop_token stop)>
      catalog = {};
  // Has each statement prepared there, as the endpoint's user, and runs none. Blocks up to
  // timeout_ms.
  //   errors   of all, as postgres(); of one, BadInput: the server refuses it, in its words
  std::function<Result<std::vector<Result<SqlShape>>>(
      const EndpointAddress&, const std::vector<std::string>& statements, std::uint32_t timeout_ms)>
      describe = {};
};

// For the data plane: definitions may have changed on old through that interlay (id), by a
// transaction that has ended. Its catalog is read again soon. Any thread; cheap, and waits for
// nobody.
//   what   that facts by the catalog of before are to be doubted for; where there is nothing of it
//          nobody hurries
struct CatalogDoor {
  std::function<void(const std::string& interlay, const postgres::Redefined& what)> changed;
  // What has been changed so and is not in the catalog in force yet; null: nothing.
  std::function<std::shared_ptr<const postgres::Redefined>(const std::string& interlay)> unread;
};

// What full verification knows of a pair of servers.
struct VerifyCounts {
  std::uint64_t total = 0;      // keys of both sides when it began: an estimate of looked_at
  std::uint64_t looked_at = 0;  // as either side listed them: most keys are counted twice
  std::uint64_t differing = 0;
  std::array<std::uint64_t, kSides> only_there{};  // of these: keys that only that side has
  // Every key that was on either side throughout was looked at on both, and the functions are the
  // same.
  bool complete = false;
  std::string why;                     // it is not complete; without secrets
  std::uint64_t expiries_unknown = 0;  // keys whose expiry was more than is remembered
};

struct Verifier {
  // Looks at every key of both servers on both, then at their functions, and changes nothing there.
  // Blocks until it is over, a server fails or refuses, or a stop is requested.
  //   found     called for each key that differs, or seems to because it is being written
  //   progress  called now and then, with what is known so far
  std::function<VerifyCounts(const EndpointAddress& old_side, const EndpointAddress& new_side,
                             const std::function<void(SuspectKey)>& found,
                             const std::function<void(const VerifyCounts&)>& progress,
                             std::stop_token stop)>
      redis;
};

// The ledger, as the data plane writes to it. Any thread; no call waits for the disk.
struct LedgerDoor {
  // The keys are suspected. True: every one of them was on disk before, `durable` is dropped.
  // False: `durable` is called once, on the ledger's thread, when they are (or, false, when they
  // cannot be written: the migration then says that it needs full verification, in memory at once
  // and on disk as soon as that is possible).
  //   route   of the interlay that they were written through
  std::function<bool(const InterlayRoute& route, std::vector<Suspect> suspects,
                     std::function<void(bool)> durable)>
      note;
  // The cheap way for a key that is there already: true when it is in the ledger, on disk, with
  // that side being right; it counts as noted again then. False: nothing was done, note() is to be
  // called.
  std::function<bool(const InterlayRoute& route, std::int32_t db, std::string_view key, Doubt doubt,
                     Side right)>
      renote;
  // Any key may differ: the migration needs full verification. Likewise.
  std::function<bool(const InterlayRoute& route, const std::string& why,
                     std::function<void(bool)> durable)>
      note_all;
  // Two databases have changed places: what is suspected in one of them is in both now. Likewise.
  std::function<bool(const InterlayRoute& route, std::int32_t one_db, std::int32_t other_db,
                     std::function<void(bool)> durable)>
      swap;
  // Should that key not be read from the side that is not the authority? It is in the ledger now,
  // or a server has lost what it had not kept.
  std::function<bool(const InterlayRoute& route, std::int32_t db, std::string_view key)> suspects;
  // The side that is right there, where that key is in the ledger now.
  std::function<std::optional<Side>(const InterlayRoute& route, std::int32_t db,
                                    std::string_view key)>
      right_of;
  // How many keys of the migration are suspected: All while everything is being verified because
  // anything may differ.
  std::function<Suspected(const InterlayRoute& route)> suspected;
  // Is any key of any migration suspected? Cheap; while none is nobody need ask the others.
  std::function<bool()> any;
};

// What a server was asked about a user who wants to log in.
struct AuthLookup {
  enum class Found : std::uint8_t {
    Verifier,
    Nobody,  // unknown, expired, or without a verifier that serves
    Failed   // nobody knows: the server could not be asked
  };
  Found found = Found::Failed;
  postgres::ScramVerifier verifier = {};
  std::string why = {};  // Failed, and what an operator should know of Nobody; without secrets
  Errc errc = Errc::Unavailable;  // Failed: whether it is the query's fault or the server's
};

struct AuthDoor {
  // Asks that server. Any thread, never waits; `done` is called once, on another thread.
  std::function<void(const EndpointAddress& at, const AuthQuery& query, const std::string& user,
                     std::function<void(AuthLookup)> done)>
      look_up = {};
};

// Replies that differed, as the data plane hands them over to be judged by meaning. Any thread;
// never waits: what does not fit is counted and dropped.
struct CompareDoor {
  std::function<void(Mismatch)> offer;
};

// What became of them, as control shows it. Any thread.
struct MismatchDoor {
  // Those of that migration that did not mean the same, newest first. At most mismatch_samples_max.
  std::function<std::vector<MismatchSample>(const std::string& migration)> samples;
  // So far, of that interlay.
  std::function<MismatchCounts(const std::string& interlay)> counts;
};

// One entry that the repair worker is to settle.
struct RepairTask {
  std::string migration;  // id
  SuspectKey at;
  Doubt doubt = Doubt::Unanswered;
  Side right = Side::Old;
  std::uint64_t version = 0;  // grows with every note() of the key
  std::uint32_t attempts = 0;
  EndpointAddress old_side;
  EndpointAddress new_side;
};

// A connection to a server, as that server knows it. Ids begin anew with each of its processes:
// with the address, too, it is nobody else's.
struct ServersClient {
  std::int64_t id = 0;  // CLIENT ID
  std::string address;  // of our end, as it sees that; empty: it did not tell
  bool operator==(const ServersClient&) const = default;
};

enum class RepairOutcome : std::uint8_t {
  Equal,       // both sides were seen equal, nothing was changed
  Repaired,    // copied, and then seen equal
  Failed,      // a server refused, or did not answer; tried again after a back-off
  Newer,       // the key's turn did not come in time; tried again
  Unreachable  // a server cannot be reached: nothing of this pair is tried for a while
};

// What the repair worker is given. Any thread.
struct RepairDoors {
  // Entries that are due, oldest first, of migrations that are in force and dual-write. At most
  // `max`.
  std::function<std::vector<RepairTask>(std::size_t max)> due;
  // The outcome of one. Equal and Repaired remove the entry if it was not noted again meanwhile
  // (same version). `why`: for Failed, without secrets.
  std::function<void(const RepairTask& task, RepairOutcome outcome, const std::string& why)> settle;
  // Waits for the key's turn in the order of writes and holds it until the returned object is gone:
  // no write to the key is in flight on either side meanwhile. Null when it did not come within
  // timeout_ms.
  std::function<std::shared_ptr<void>(const RepairTask& task, std::uint32_t timeout_ms)> hold;
  // The side that is right by now: what was noted before the turn was held counts.
  std::function<Side(const RepairTask& task)> right;
  // The key's expiry, as the right side tells it while the turn is held.
  //   at_ms   Unix time
  std::function<void(const RepairTask& task, std::uint64_t at_ms)> expires;
  // Connections that were given up while a write was under way on them: the server may still run
  // what they carried. To be killed before a copy is believed; asking again lists them again until
  // `fenced` is told.
  std::function<std::vector<ServersClient>(const RepairTask& task, Side side)> ghosts;
  std::function<void(const RepairTask& task, Side side, const std::vector<ServersClient>& gone)>
      fenced;
  // Asked before a copy is written, and kept until it is known how that went. Null: the migration
  // writes to both sides no more, or is about to: nothing may be written.
  std::function<std::shared_ptr<void>(const std::string& migration, Side to)> may_copy;
  // A server cannot be reached: nothing of its pair will be settled before wake(). Writes may rely
  // on that.
  std::function<void(const RepairTask& task)> rest;
  // Before anything is settled. False: writes that rely on the rest were still in flight after
  // timeout_ms; the rest has ended all the same.
  std::function<bool(const RepairTask& task, std::uint32_t timeout_ms)> wake;
};

// A server of a migration that writes to both sides.
struct WatchedServer {
  std::string migration;  // id
  Side side = Side::Old;  // of it
  EndpointAddress address;
};

// What the watch for restarts is given. Any thread.
struct WatchDoors {
  // Those that are to be watched now.
  std::function<std::vector<WatchedServer>()> servers;
  // What answers there now. Where that was another process, the migration needs full verification:
  // a server that starts again has what it had kept, and nobody else knows what that was. So it
  // does where that process has evicted keys since, or taken another server's data.
  std::function<void(const WatchedServer& server, const ServerSight& sight)> saw;
};

}  // namespace crossfade
