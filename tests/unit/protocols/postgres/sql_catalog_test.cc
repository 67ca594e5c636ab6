// What a catalog makes of names.
#include <doctest/doctest.h>

#include <vector>

#include "tests/unit/protocols/postgres/sql_samples.h"

namespace crossfade::postgres {
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

TEST_CASE("sql catalog: settings are known that code mentions") {
  const SqlCatalogRow rows[] = {
      {"f", "public", "computes", "su", ""},
      {"f", "public", "tells", "su", ""},
      {"u", "public", "computes", "x", ""},
      {"u", "public", "tells", "n", ""},
      {"r", "public", "v", "vx", "SELECT current_setting('app.view', true) AS x"},
      {"r", "public", "t", "rn", "SELECT (x = current_setting('app.policy'::text))"},
      {"d", "public", "t", "c", "SELECT current_setting('app.default'::text)"},
      {"s", "", "app.body", "", ""}};
  const auto catalog = *learn_sql_catalog(rows, {});
  CHECK(catalog->settings() == SettingNames{"app.body", "app.default", "app.policy", "app.view"});
  CHECK_FALSE(catalog->has_given_settings());
  CHECK(class_in(*catalog, "SELECT tells()") > SqlClass::VolatileRead);  // whatever it is called
  const auto pins = [&](std::string_view sql) {
    std::string scratch;
    return classify(sql, *catalog, SqlReading::Standard, 1000, scratch).pins;
  };
  CHECK(pins("SELECT computes()").has(Pin::UntoldSet));
  CHECK_FALSE(pins("SELECT tells()").has(Pin::UntoldSet));
  CHECK(catalog->has_untold_setters());
  CHECK_FALSE(SqlCatalog::built_in()->has_untold_setters());
}

TEST_CASE("sql catalog: who has not been told of given settings counts on some") {
  CHECK(SqlCatalog::built_in()->has_given_settings());
  const SqlCatalogRow rows[] = {{"g", "", "", "", ""}};
  CHECK((*learn_sql_catalog(rows, {}))->has_given_settings());
}

TEST_CASE("sql catalog: settings have a limit, and that is told") {
  SqlCatalog catalog;
  for (std::size_t i = 0; i < kSettingsMax; ++i) catalog.add_setting("app.s" + std::to_string(i));
  CHECK(catalog.has_all_settings());
  for (const char* const more : {"app.more", "app.still_more"}) {
    catalog.add_setting(more);
    CHECK_FALSE(catalog.has_all_settings());
    CHECK(catalog.settings().size() == kSettingsMax + 1);
  }
}

TEST_CASE("sql catalog: a primary key is known by a name that only one table with a key has") {
  const SqlCatalogRow rows[] = {{"r", "public", "t", "rn", ""},  {"r", "s", "t", "rn", ""},
                                {"k", "public", "t", "b", "25"}, {"k", "public", "t", "a", "23"},
                                {"k", "s", "t", "b", "25"},      {"k", "s", "u", "x", "20"}};
  const auto catalog = *learn_sql_catalog(rows, {});
  const PrimaryKey* const key = catalog->primary_key("public", "t");
  REQUIRE(key != nullptr);
  REQUIRE(key->columns.size() == 2);
  CHECK(key->columns[0].name == "a");
  CHECK(*key->type_of("b") == 25);
  CHECK(key->type_of("c") == nullptr);
  CHECK(catalog->primary_key("s", "t")->columns.size() == 1);
  CHECK(catalog->primary_key("", "t") == nullptr);
  CHECK(*catalog->primary_key("", "u")->type_of("x") == 20);
  CHECK(catalog->primary_key("public", "u") == nullptr);
}

TEST_CASE("sql catalog: rows that the query does not give are refused") {
  for (const SqlCatalogRow& row : std::vector<SqlCatalogRow>{{"z", "a", "b", "c", ""},
                                                             {"f", "a", "b", "xs", ""},
                                                             {"f", "a", "b", "iz", ""},
                                                             {"f", "a", "b", "i", ""},
                                                             {"r", "a", "b", "qn", ""},
                                                             {"r", "a", "b", "r?", ""},
                                                             {"k", "a", "b", "c", ""},
                                                             {"k", "a", "b", "c", "-1"},
                                                             {"k", "a", "b", "c", "1x"},
                                                             {"k", "a", "b", "", "1"},
                                                             {"k", "", "b", "c", "1"},
                                                             {"", "", "", "", ""}}) {
    const auto learned = learn_sql_catalog(std::span(&row, 1), {});
    REQUIRE(!learned.ok());
    CHECK(learned.error().code == Errc::BadInput);
  }
}

}  // namespace crossfade::postgres
