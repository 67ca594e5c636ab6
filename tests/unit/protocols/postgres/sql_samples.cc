// A catalog as a server would tell it.
#include "tests/unit/protocols/postgres/sql_samples.h"

#include <cstdlib>
#include <vector>

namespace crossfade::postgres {
namespace {

constexpr SqlCatalogRow kRows[] = {
    {"f", "pg_catalog", "now", "ss", ""},
    {"f", "pg_catalog", "age", "ss", ""},
    {"f", "pg_catalog", "clock_timestamp", "vs", ""},
    {"f", "pg_catalog", "random", "vs", ""},
    {"f", "pg_catalog", "gen_random_uuid", "vs", ""},
    {"f", "pg_catalog", "pg_sleep", "vs", ""},
    {"f", "pg_catalog", "nextval", "vs", ""},
    {"f", "pg_catalog", "setval", "vs", ""},
    {"f", "pg_catalog", "currval", "vs", ""},
    {"f", "pg_catalog", "lastval", "vs", ""},
    {"f", "pg_catalog", "set_config", "vs", ""},
    {"f", "pg_catalog", "setseed", "vs", ""},
    {"f", "pg_catalog", "current_setting", "ss", ""},
    {"f", "pg_catalog", "pg_backend_pid", "ss", ""},
    {"f", "pg_catalog", "pg_is_in_recovery", "vs", ""},
    {"f", "pg_catalog", "txid_current", "ss", ""},
    {"f", "pg_catalog", "version", "ss", ""},
    {"f", "pg_catalog", "pg_get_viewdef", "ss", ""},
    {"f", "pg_catalog", "format_type", "ss", ""},
    {"f", "pg_catalog", "pg_table_is_visible", "ss", ""},
    {"f", "pg_catalog", "to_regclass", "ss", ""},
    {"f", "pg_catalog", "to_regtypemod", "ss", ""},
    {"f", "pg_catalog", "pg_notify", "vs", ""},
    {"f", "pg_catalog", "lo_open", "vs", ""},
    {"f", "pg_catalog", "query_to_xml", "vs", ""},
    {"f", "pg_catalog", "pg_advisory_lock", "vs", ""},
    {"f", "pg_catalog", "pg_try_advisory_lock_shared", "vs", ""},
    {"f", "pg_catalog", "pg_advisory_xact_lock", "vs", ""},
    {"f", "pg_catalog", "pg_advisory_unlock_all", "vs", ""},
    {"f", "pg_catalog", "lower", "is", ""},
    {"f", "pg_catalog", "count", "is", ""},
    {"f", "pg_catalog", "sum", "is", ""},
    {"f", "pg_catalog", "row_number", "is", ""},
    {"f", "pg_catalog", "generate_series", "is", ""},
    {"f", "pg_catalog", "extract", "is", ""},
    {"f", "pg_catalog", "timezone", "is", ""},
    {"f", "pg_catalog", "json_array_elements", "is", ""},
    {"f", "public", "f_imm", "iu", ""},
    {"f", "public", "f_stable", "su", ""},
    {"f", "public", "f_volatile", "vu", ""},
    {"f", "app", "f_imm", "vu", ""},  // the name alone means the worse of the two
    {"f", "public", "uuid_generate_v4", "ve", ""},
    {"f", "public", "pgp_sym_encrypt", "ve", ""},
    {"f", "public", "pgp_pub_encrypt_bytea", "ve", ""},
    {"f", "public", "ext_volatile", "ve", ""},
    {"f", "public", "agg_writes", "vu", ""},
    {"f", "public", "gen_salt", "vu", ""},  // not the extension's
    {"f", "pg_catalog", "string_agg", "is", ""},
    {"f", "pg_catalog", "array_agg", "is", ""},
    {"f", "pg_catalog", "lag", "is", ""},
    {"f", "pg_catalog", "rank", "is", ""},
    {"f", "public", "agg_own", "iu", ""},
    {"w", "public", "agg_own", "", ""},
    {"o", "pg_catalog", "=", "is", ""},
    {"o", "pg_catalog", "+", "ss", ""},
    {"o", "pg_catalog", "-", "ss", ""},
    {"o", "pg_catalog", "*", "is", ""},
    {"o", "pg_catalog", "<", "is", ""},
    {"o", "pg_catalog", ">", "is", ""},
    {"o", "pg_catalog", "<=", "is", ""},
    {"o", "pg_catalog", ">=", "is", ""},
    {"o", "pg_catalog", "<>", "is", ""},
    {"o", "pg_catalog", "||", "ss", ""},
    {"o", "pg_catalog", "~~", "is", ""},
    {"o", "pg_catalog", "->>", "is", ""},
    {"o", "public", "@!@", "vu", ""},
    {"t", "", "badtype", "", ""},
    {"t", "", "badbox", "", "SELECT public.f_volatile(value)"},
    {"t", "", "posint", "", "SELECT (VALUE OPERATOR(pg_catalog.>) 0)"},
    {"x", "", "looked_up", "", ""},
    {"a", "", "row_writes", "", ""},
    {"r", "public", "t", "rn", ""},
    {"r", "public", "u", "rn", ""},
    {"r", "s", "u", "rn", ""},
    {"r", "public", "jobs", "rn", ""},
    {"r", "public", "identified", "rn", ""},
    {"r", "public", "audited", "rx", ""},
    {"r", "public", "parent", "rc", ""},
    {"r", "public", "far", "fx", ""},
    {"r", "public", "part", "pn", ""},
    {"r", "public", "m", "mx", ""},
    {"r", "public", "seq", "Sn", ""},
    {"r", "public", "guarded", "rn", "SELECT (owner = CURRENT_USER)"},
    {"r", "public", "guarded_badly", "rn", "SELECT public.f_volatile(owner)"},
    {"r", "public", "v_on_v", "vx", "SELECT a FROM public.v"},
    {"r", "public", "v", "vx", "SELECT a FROM public.t"},
    {"r", "public", "v_now", "vx", "SELECT a, pg_catalog.now() FROM public.t"},
    {"r", "public", "v_writes", "vx", "SELECT public.f_volatile(a) FROM public.t"},
    {"r", "public", "v_on_v_writes", "vx", "SELECT 1 FROM public.v_writes"},
    {"r", "pg_catalog", "pg_class", "sx", ""},
    {"r", "pg_catalog", "pg_settings", "sx", ""},
    {"d", "public", "jobs", "id", "SELECT pg_catalog.nextval('public.seq'::regclass)"},
    {"d", "public", "jobs", "made_at", "SELECT pg_catalog.now()"},
    {"d", "public", "jobs", "state", "SELECT 'new'::text"},
    {"d", "public", "identified", "id", ""},
    {"r", "public", "looks_up", "rn", ""},
    {"d", "public", "looks_up", "a", "SELECT public.f_stable()"},
    {"r", "public", "owned", "rn", ""},
    {"d", "public", "owned", "by", "SELECT CURRENT_USER"},
    {"r", "public", "v_mine", "vx", "SELECT a FROM public.t WHERE b = SESSION_USER"},
};

const char* word_of(Pin pin) {
  switch (pin) {
    case Pin::TempObject:
      return "temp";
    case Pin::HoldCursor:
      return "hold";
    case Pin::SessionLock:
      return "lock";
    case Pin::Listen:
      return "listen";
    case Pin::UnreplayableSet:
      return "set";
    case Pin::UntoldSet:
      return "untold_set";
    case Pin::HiddenCode:
      return "code";
    case Pin::Unread:
      return "unread";
  }
  return "";
}

const char* word_of(SqlLock lock) {
  switch (lock) {
    case SqlLock::Rows:
      return "rows";
    case SqlLock::Table:
      return "table";
    case SqlLock::AdvisoryTransaction:
      return "transaction";
    case SqlLock::AdvisorySession:
      return "session";
    case SqlLock::AdvisoryRelease:
      return "release";
  }
  return "";
}

std::string tables_of(const char* how, const std::vector<TableName>& tables) {
  std::string words;
  for (const TableName& table : tables) {
    words.append(how).append(table.schema).append(table.schema.empty() ? "" : ".");
    words.append(table.name);
  }
  return words;
}

}  // namespace

std::shared_ptr<const SqlCatalog> sample_catalog() {
  static const std::shared_ptr<const SqlCatalog> catalog = [] {
    auto learned = learn_sql_catalog(kRows, {});
    if (!learned) std::abort();
    return *learned;
  }();
  return catalog;
}

std::string words_of(const SqlFacts& facts) {
  std::string words = name_of(facts.strongest);
  const bool class_writes = facts.strongest >= SqlClass::Write;
  if (facts.writes != class_writes) words += facts.writes ? " writes" : " no-writes";
  if (!facts.deterministic) words += " drawn";
  if (facts.sided) words += " sided";
  if (facts.sorted) words += " sorted";
  if (facts.returning) words += " returning";
  if (!facts.writes_listed) words += " unlisted";
  for (int i = 0; i <= static_cast<int>(Pin::Unread); ++i) {
    const auto pin = static_cast<Pin>(i);
    if (facts.pins.has(pin)) words.append(" pin:").append(word_of(pin));
  }
  for (int i = 0; i <= static_cast<int>(SqlLock::AdvisoryRelease); ++i) {
    const auto lock = static_cast<SqlLock>(i);
    if (facts.locks.has(lock)) words.append(" lock:").append(word_of(lock));
  }
  return words + tables_of(" r:", facts.read) + tables_of(" w:", facts.written);
}

}  // namespace crossfade::postgres
