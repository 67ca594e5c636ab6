// The routing table: immutable, numbered, shared by every event loop.
//
// Control builds one for every change and hands it to the data plane; a loop plans with the one it
// has adopted. It holds all that the request path needs to know, and nothing that changes.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocols/postgres/sql_catalog.h"
#include "protocols/redis/command.h"
#include "strategies/login.h"
#include "strategies/migration.h"
#include "strategies/networks.h"
#include "strategies/user.h"
#include "tls/settings.h"

namespace crossfade {

class ApiKeys;
class ApiSet;
class SqlApiSet;
class SqlUserFields;
class UserFields;

namespace redis {
class KeyUser;
}

// What a server behind an endpoint speaks.
enum class EndpointKind : std::uint8_t { Redis, Postgres };
constexpr const char* name_of(EndpointKind kind) {
  return kind == EndpointKind::Redis ? "redis" : "postgres";
}

// Where and as whom to connect. Secrets live here in memory only; nothing prints them.
struct EndpointAddress {
  EndpointKind kind = EndpointKind::Redis;
  std::string id;  // the operator's name of the endpoint: the only part that error texts show
  std::string host;
  std::uint16_t port = 6379;
  std::uint32_t db = 0;       // Redis
  std::string database = {};  // PostgreSQL; empty: the one that the client names
  std::string username;       // empty with a password: AUTH <password>
  std::string password;       // both empty: no credentials of its own
  ServerTls tls = {};

  bool operator==(const EndpointAddress&) const = default;
};

// Named limits and settings of an interlay, all with safe defaults. The names are the keys of
// "settings" in the API and of the `limit` label in metrics. 0 switches a time limit off.
struct InterlaySettings {
  std::uint32_t connect_timeout_ms = 3'000;     // reaching a server
  std::uint32_t handshake_timeout_ms = 10'000;  // TLS with a client
  std::uint32_t login_timeout_ms = 60'000;      // PostgreSQL: from accepting to being logged in
  std::uint32_t answer_timeout_ms = 60'000;     // authoritative reply; blocking commands are exempt
  std::uint32_t second_leg_timeout_ms = 1'000;  // reply of a side that is not authoritative
  std::uint32_t order_wait_ms = 2'000;          // a dual write's turn among those of its keys
  std::uint32_t copy_max = 16u << 20;           // bytes kept of a value or reply, to repeat a write
  std::uint32_t second_inflight_max = 10'000;   // unanswered second legs, per loop
  std::uint32_t second_bytes_max = 64u << 20;   // unsent bytes of second legs, per loop
  std::uint32_t clients_max = 20'000;           // sessions, per loop
  std::uint32_t pipeline_max = 65'536;          // unanswered exchanges of one session
  std::uint32_t output_buffer_max = 256u << 10;  // bytes waiting for a slow client or server
  std::uint32_t unread_max = 16u << 20;          // likewise, while its pipeline is full
  std::uint32_t request_head_max = 64u << 20;    // bytes kept to find a request's keys
  std::uint32_t reorder_max = 16u << 20;  // reply bytes kept until their turn comes, per session
  // PostgreSQL.
  std::uint32_t sql_length_max = 32u << 10;       // bytes of SQL that is parsed
  std::uint32_t sql_cache_max = 4u << 20;         // bytes of SQL and what is known of it, per loop
  std::uint32_t segment_max = 1u << 20;           // bytes up to a Sync kept to plan them whole
  std::uint32_t statements_max = 4u << 20;        // bytes of prepared statements, per session
  std::uint32_t custom_settings_max = 64u << 10;  // bytes of names of settings with a dot, likewise
  std::uint32_t side_change_wait_ms = 30'000;     // a session that cannot go over stays so long

  bool operator==(const InterlaySettings&) const = default;
};

struct InterlayRoute {
  std::string id;
  std::string uuid;
  EndpointAddress old_side;
  std::optional<EndpointAddress> new_side;  // set exactly when `strategy` is
  std::optional<Strategy> strategy;         // nullopt: everything to old
  std::string migration;                    // id of the migration in force, for messages
  std::uint64_t pair = 0;                   // of servers, where there is a new side (pair_of())
  // Of a migration that moves apis, what belongs to them; all null: all moves. Requests of Redis,
  // or, where writes move, keys (`strategy` is of a part then); statements of PostgreSQL.
  std::shared_ptr<const ApiSet> apis = {};
  std::shared_ptr<const ApiKeys> api_keys = {};
  std::shared_ptr<const SqlApiSet> sql_apis = {};
  // Who a user is, where the strategy gives some of them a share; and the part of Redis keys, or
  // the field of templates, that says so. Without key_user the bucket of a key is that of its hash
  // tag, or of all of it.
  UserSource user = {};
  std::shared_ptr<const redis::KeyUser> key_user = {};
  std::shared_ptr<const UserFields> user_fields = {};
  std::shared_ptr<const SqlUserFields> sql_user_fields = {};
  std::shared_ptr<const redis::CommandTable> commands;  // never null
  // What names in SQL stand for on old, in that database; null for Redis. To sessions of any other
  // database it says nothing: they have postgres::SqlCatalog::built_in(). So has everybody while
  // old has not told, and no database is named.
  std::shared_ptr<const postgres::SqlCatalog> catalog = {};
  std::string catalog_database = {};
  InterlaySettings settings;
  PortTls tls = {};              // of the data port
  InterlayLogin login = {};      // PostgreSQL
  std::string mock_secret = {};  // of this interlay, for users that do not exist; stays as it is
  // geographic: where the sidecar's own region does not say it of every client. Both or neither is
  // there; `elsewhere` differs from this in its strategy only.
  bool region_migrated = false;  // the sidecar's own
  std::vector<RegionNetwork> networks = {};
  std::shared_ptr<const InterlayRoute> elsewhere =
      {};  // for clients of regions that went otherwise

  // The server at that side, or null where there is none.
  const EndpointAddress* at(Side side) const {
    if (side == Side::Old) return &old_side;
    return new_side ? &*new_side : nullptr;
  }
  // Somebody asks which templates SQL matches.
  bool asks_forms() const { return sql_apis || sql_user_fields; }
  // The side that judges logins, and answers whatever belongs to no key.
  Side home_side() const { return strategy ? home(*strategy) : Side::Old; }
  // The side that is right while writes go to both; nullopt: they do not.
  std::optional<Side> authority() const {
    return strategy ? dual_write_authority(*strategy) : std::nullopt;
  }
};
using InterlayRoutePtr = std::shared_ptr<const InterlayRoute>;

struct Table {
  std::uint64_t epoch = 0;
  std::vector<InterlayRoutePtr> interlays;
};
using TablePtr = std::shared_ptr<const Table>;

}  // namespace crossfade
