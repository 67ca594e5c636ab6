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
SELECT 'setting', name, setting FROM pg_settings WHERE name IN (
  'max_connections', 'superuser_reserved_connections', 'reserved_connections', 'wal_level', 'fsync',
  'full_page_writes', 'synchronous_commit', 'max_replication_slots', 'max_wal_senders',
  'standard_conforming_strings', 'default_transaction_isolation', 'DateStyle', 'IntervalStyle',
  'TimeZone', 'bytea_output', 'search_path', 'default_transaction_read_only')
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
  } else {
    survey.functions[std::move(name)] = std::move(value);
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

}  // namespace crossfade
