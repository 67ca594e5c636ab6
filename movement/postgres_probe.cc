// Asking a PostgreSQL server about itself.
#include "movement/postgres_probe.h"

#include <charconv>
#include <chrono>
#include <string>
#include <string_view>

#include "movement/postgres_connection.h"

namespace crossfade {

namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kAboutItself =
    "SELECT pg_catalog.current_setting('server_version'), pg_catalog.pg_is_in_recovery(),"
    " (extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint";

// Refused to users whom an administrator took the right from.
constexpr const char* kWhoItIs = "SELECT system_identifier FROM pg_catalog.pg_control_system()";

// Rows of (what, name, value). The search path is emptied so that types name their schemas.
constexpr const char* kSurvey = R"sql(
SET search_path = '';
WITH here AS (SELECT * FROM pg_database WHERE datname = current_database()),
schemas AS (SELECT oid, nspname FROM pg_namespace
            WHERE nspname <> 'information_schema' AND nspname !~ '^pg_')
SELECT 'setting', name, CASE name WHEN 'search_path' THEN reset_val ELSE setting END
FROM pg_settings WHERE name IN (
  'max_connections', 'superuser_reserved_connections', 'reserved_connections', 'wal_level', 'fsync',
  'full_page_writes', 'synchronous_commit', 'max_replication_slots', 'max_wal_senders',
  'standard_conforming_strings', 'default_transaction_isolation', 'DateStyle', 'IntervalStyle',
  'TimeZone', 'bytea_output', 'search_path', 'default_transaction_read_only',
  'max_prepared_transactions')
UNION ALL
SELECT 'encoding', '', pg_encoding_to_char(encoding) FROM here
UNION ALL
SELECT 'locale', '', concat_ws(' ', coalesce(to_jsonb(here) ->> 'datlocprovider', 'c'), datcollate,
       datctype, coalesce(to_jsonb(here) ->> 'datlocale', to_jsonb(here) ->> 'daticulocale'))
FROM here
UNION ALL
SELECT 'sessions', '', count(*)::text FROM pg_stat_activity WHERE backend_type = 'client backend'
UNION ALL
SELECT 'database', datname::text, '' FROM pg_database WHERE datallowconn AND NOT datistemplate
UNION ALL
SELECT 'role', rolname::text, '' FROM pg_roles WHERE rolcanlogin
UNION ALL
SELECT 'extension', extname::text, extversion FROM pg_extension
UNION ALL
SELECT 'table', n.nspname || '.' || c.relname, md5(string_agg(
         concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull), ','
         ORDER BY a.attnum))
FROM pg_class c JOIN schemas n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p') GROUP BY n.nspname, c.relname
UNION ALL
SELECT 'function', n.nspname || '.' || p.proname || '('
       || pg_get_function_identity_arguments(p.oid) || ')', p.provolatile::text
FROM pg_proc p JOIN schemas n ON n.oid = p.pronamespace
UNION ALL
SELECT 'prepared', gid, database::text FROM pg_prepared_xacts
UNION ALL
SELECT 'default', concat_ws(' of ', split_part(set, '=', 1), 'role ' || r.rolname,
       'database ' || d.datname), substr(set, strpos(set, '=') + 1)
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole
LEFT JOIN here d ON d.oid = s.setdatabase, unnest(s.setconfig) set
WHERE (s.setdatabase = 0 OR d.oid IS NOT NULL) AND (s.setrole = 0 OR r.rolcanlogin)
UNION ALL
SELECT 'policy', n.nspname || '.' || c.relname,
       concat_ws(' ', c.relrowsecurity, c.relforcerowsecurity)
FROM pg_class c JOIN schemas n ON n.oid = c.relnamespace
WHERE c.relrowsecurity OR c.relforcerowsecurity
UNION ALL
SELECT 'policy', p.polname || ' on ' || n.nspname || '.' || c.relname,
       md5(concat_ws(' ', p.polcmd, p.polpermissive, coalesce(pg_get_expr(p.polqual, c.oid), '-'),
       coalesce(pg_get_expr(p.polwithcheck, c.oid), '-'),
       (SELECT string_agg(rolname, ',' ORDER BY rolname) FROM pg_roles
        WHERE oid = ANY (p.polroles))))
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN schemas n ON n.oid = c.relnamespace
UNION ALL
SELECT 'constraint', k.conname || ' on ' || n.nspname || '.' || c.relname,
       md5(pg_get_constraintdef(k.oid))
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN schemas n ON n.oid = c.relnamespace
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x')
UNION ALL
SELECT 'index', n.nspname || '.' || c.relname,
       md5(concat_ws(' ', pg_get_indexdef(c.oid), i.indisvalid))
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN schemas n ON n.oid = c.relnamespace
UNION ALL
SELECT 'sequence', n.nspname || '.' || c.relname, concat_ws(' ', s.increment_by,
       CASE WHEN has_sequence_privilege(c.oid, 'SELECT,USAGE')
            THEN coalesce(s.last_value::text, '-') END)
FROM pg_sequences s JOIN schemas n ON n.nspname = s.schemaname
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
)sql";

std::uint64_t us_since(Clock::time_point began) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count());
}

// What it says of itself to whom it has let in.
Result<PostgresProbe> ask(PostgresConnection& connection, Deadline end) {
  auto row = connection.ask_row(kAboutItself, end);
  if (!row) return row.error();
  const std::string& version = row->front();
  return PostgresProbe{.entered = true,
                       .version = version.substr(0, version.find(' ')),
                       .recovers = (*row)[1] == "t",
                       .latency_us = 0,
                       .sight = {.run_id = row->back()}};
}

Result<PostgresProbe> ping(const EndpointAddress& address, std::uint32_t timeout_ms) {
  const auto began = Clock::now();
  if (const Status status = ping_postgres(address, timeout_ms); !status) return status.error();
  PostgresProbe probe;
  probe.latency_us = us_since(began);
  return probe;
}

void take(PostgresSurvey& survey, std::string_view what, std::string name, std::string value) {
  if (what == "setting") {
    survey.settings[std::move(name)] = std::move(value);
  } else if (what == "encoding") {
    survey.encoding = std::move(value);
  } else if (what == "locale") {
    survey.locale = std::move(value);
  } else if (what == "sessions") {
    std::from_chars(value.data(), value.data() + value.size(), survey.sessions);
  } else if (what == "database") {
    survey.databases.insert(std::move(name));
  } else if (what == "role") {
    survey.roles.insert(std::move(name));
  } else if (what == "extension") {
    survey.extensions[std::move(name)] = std::move(value);
  } else if (what == "table") {
    survey.tables[std::move(name)] = std::move(value);
  } else if (what == "function") {
    survey.functions[std::move(name)] = std::move(value);
  } else if (what == "prepared") {
    survey.prepared[std::move(name)] = std::move(value);
  } else if (what == "default") {
    survey.defaults[std::move(name)] = std::move(value);
  } else if (what == "policy") {
    survey.policies[std::move(name)] = std::move(value);
  } else if (what == "constraint") {
    survey.constraints[std::move(name)] = std::move(value);
  } else if (what == "index") {
    survey.indexes[std::move(name)] = std::move(value);
  } else if (what == "sequence") {
    survey.sequences[std::move(name)] = std::move(value);
  }
}

}  // namespace

Result<PostgresProbe> probe_postgres(const EndpointAddress& address, std::uint32_t timeout_ms) {
  if (address.username.empty()) return ping(address, timeout_ms);
  const auto began = Clock::now();
  const Deadline end = began + std::chrono::milliseconds(timeout_ms);
  auto connection = PostgresConnection::open(address, "", end, {});
  if (!connection) return connection.error();
  auto told = ask(*connection, end);
  if (told) told->latency_us = us_since(began);
  return told;
}

Result<PostgresSurvey> survey_postgres(const EndpointAddress& address, std::uint32_t timeout_ms) {
  PostgresSurvey survey;
  const auto began = Clock::now();
  const Deadline end = began + std::chrono::milliseconds(timeout_ms);
  if (address.username.empty()) {
    auto told = ping(address, timeout_ms);
    if (!told) return told.error();
    survey.probe = std::move(*told);
    return survey;
  }
  auto connection = PostgresConnection::open(address, "", end, {});
  if (!connection) return connection.error();
  auto told = ask(*connection, end);
  if (!told) return told.error();
  survey.probe = std::move(*told);
  survey.probe.latency_us = us_since(began);
  if (auto who = connection->ask_row(kWhoItIs, end)) survey.system_identifier = who->front();
  std::size_t bytes = 0;
  const Status asked = connection->ask(kSurvey, end, [&](PostgresRow row) {
    take(survey, row[0], std::string(row[1]), std::string(row[2]));
    bytes += row[1].size() + row[2].size();
    return bytes <= kSurveyMax;
  });
  if (!asked) return asked.error();
  return survey;
}

Result<std::vector<Result<SqlShape>>> describe_postgres(const EndpointAddress& address,
                                                        const std::vector<std::string>& statements,
                                                        std::uint32_t timeout_ms) {
  if (address.username.empty()) {
    return Error{Errc::BadConfig, "ask endpoint '" + address.id + "'", "it has no username"};
  }
  const Deadline end = Clock::now() + std::chrono::milliseconds(timeout_ms);
  auto connection = PostgresConnection::open(address, "", end, {});
  if (!connection) return connection.error();
  std::vector<Result<SqlShape>> shapes;
  for (const std::string& sql : statements) {
    shapes.push_back(connection->describe(sql, end));
    if (!shapes.back() && shapes.back().error().code != Errc::BadInput)
      return shapes.back().error();
  }
  return shapes;
}

}  // namespace crossfade
