// A catalog as a server would tell it, which the other tests use, too; and what it makes of names.
#include <doctest/doctest.h>

#include <cstdlib>
#include <vector>

#include "tests/unit/protocols/postgres/sql_samples.h"

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
    {"f", "public", "ext_volatile", "ve", ""},
    {"f", "public", "agg_writes", "vu", ""},
    {"f", "public", "gen_salt", "vu", ""},  // not the extension's
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
    {"a", "", "row_writes", "", ""},
    {"r", "public", "t", "rn", ""},
    {"r", "public", "u", "rn", ""},
    {"r", "s", "u", "rn", ""},
    {"r", "public", "jobs", "rn", ""},
    {"r", "public", "identified", "rn", ""},
    {"r", "public", "audited", "rx", ""},
    {"r", "public", "parent", "rc", ""},
    {"r", "public", "far", "fx", ""},
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

namespace {

SqlClass class_in(const SqlCatalog& catalog, std::string_view sql) {
  std::string scratch;
  return classify(sql, catalog, SqlReading::Standard, 1000, scratch).strongest;
}

}  // namespace

TEST_CASE("sql catalog: without a server only PostgreSQL's own common names are known") {
  const SqlCatalog& catalog = *SqlCatalog::built_in();
  CHECK(class_in(catalog, "SELECT lower('A') || 'b', 1 + 2") == SqlClass::PureRead);
  CHECK(class_in(catalog, "SELECT now(), random()") == SqlClass::VolatileRead);
  CHECK(class_in(catalog, "SELECT pg_catalog.count(*)") == SqlClass::PureRead);
  CHECK(class_in(catalog, "SELECT nextval('s')") == SqlClass::NondeterministicWrite);
  CHECK(class_in(catalog, "SELECT pg_advisory_lock(1)") == SqlClass::Lock);
  CHECK(class_in(catalog, "SELECT * FROM pg_catalog.pg_class") == SqlClass::VolatileRead);
  CHECK(class_in(catalog, "SELECT * FROM t") == SqlClass::Unknown);
  CHECK(class_in(catalog, "SELECT f()") == SqlClass::Unknown);
  CHECK(class_in(catalog, "SELECT app.lower('A')") == SqlClass::Unknown);
}

TEST_CASE("sql catalog: a name without a schema is the worst of its name") {
  const SqlCatalog& catalog = *sample_catalog();
  CHECK(catalog.function("public", "f_imm")->volatility == Volatility::Immutable);
  CHECK(catalog.function("app", "f_imm")->volatility == Volatility::Volatile);
  CHECK(catalog.function("", "f_imm")->volatility == Volatility::Volatile);
  CHECK(catalog.function("s", "f_imm") == nullptr);
  const std::string far_too_long(1000, 'x');
  CHECK(catalog.function(far_too_long, far_too_long) == nullptr);
}

TEST_CASE("sql catalog: a user's function takes a system function's name and meaning away") {
  constexpr SqlCatalogRow kTaken[] = {{"f", "pg_catalog", "random", "vs", ""},
                                      {"f", "public", "random", "vu", ""}};
  const auto catalog = learn_sql_catalog(kTaken, {});
  REQUIRE(catalog.ok());
  CHECK(class_in(*catalog.value(), "SELECT random()") == SqlClass::NondeterministicWrite);
  CHECK(class_in(*catalog.value(), "SELECT pg_catalog.random()") == SqlClass::VolatileRead);
}

TEST_CASE("sql catalog: what an operator declares replaces what the server says") {
  const SqlDeclared declared[] = {
      {SqlDeclared::What::Function, "", "f_volatile", SqlClass::PureRead},
      {SqlDeclared::What::Function, "public", "f_volatile", SqlClass::VolatileRead},
      {SqlDeclared::What::Function, "", "f_stable", SqlClass::Write},
      {SqlDeclared::What::Relation, "", "far", SqlClass::VolatileRead}};
  constexpr SqlCatalogRow kRows2[] = {{"f", "public", "f_volatile", "vu", ""},
                                      {"f", "public", "f_stable", "su", ""},
                                      {"r", "public", "far", "fx", ""},
                                      {"r", "public", "v", "vx", "SELECT public.f_volatile(1)"}};
  const auto catalog = learn_sql_catalog(kRows2, declared);
  REQUIRE(catalog.ok());
  const auto acts = [&](const char* sql) { return class_in(*catalog.value(), sql); };
  CHECK(acts("SELECT f_volatile(1)") == SqlClass::PureRead);
  CHECK(acts("SELECT public.f_volatile(1)") == SqlClass::VolatileRead);
  CHECK(acts("SELECT f_stable(1)") == SqlClass::NondeterministicWrite);
  CHECK(acts("SELECT * FROM far") == SqlClass::VolatileRead);
  CHECK(acts("SELECT * FROM public.far") == SqlClass::Unknown);
  CHECK(acts("SELECT * FROM v") == SqlClass::VolatileRead);  // declared before views are read
}

TEST_CASE("sql catalog: with an implicit cast by volatile code nothing is a certain read") {
  constexpr SqlCatalogRow kCast[] = {{"c", "", "", "", ""}, {"r", "public", "t", "rn", ""}};
  const auto catalog = learn_sql_catalog(kCast, {});
  REQUIRE(catalog.ok());
  CHECK(class_in(*catalog.value(), "SELECT a FROM t") == SqlClass::NondeterministicWrite);
  CHECK(class_in(*catalog.value(), "BEGIN") == SqlClass::Transaction);
}

TEST_CASE("sql catalog: rows that the query does not give are refused") {
  for (const SqlCatalogRow& row : std::vector<SqlCatalogRow>{{"z", "a", "b", "c", ""},
                                                             {"f", "a", "b", "xs", ""},
                                                             {"f", "a", "b", "iz", ""},
                                                             {"f", "a", "b", "i", ""},
                                                             {"r", "a", "b", "qn", ""},
                                                             {"r", "a", "b", "r?", ""},
                                                             {"", "", "", "", ""}}) {
    const auto learned = learn_sql_catalog(std::span(&row, 1), {});
    REQUIRE(!learned.ok());
    CHECK(learned.error().code == Errc::BadInput);
  }
}

}  // namespace crossfade::postgres
