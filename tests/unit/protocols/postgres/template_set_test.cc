// Many templates of SQL: the first that a statement matches, and what its fields are there.
#include "protocols/postgres/template_set.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

std::vector<Template> read_all(const std::vector<std::string>& queries) {
  std::vector<Template> forms;
  for (const std::string& query : queries) {
    auto form = read_template(query);
    REQUIRE_MESSAGE(form.ok(), query);
    forms.push_back(std::move(*form));
  }
  return forms;
}

std::optional<std::uint32_t> match(const TemplateSet& set, std::string_view sql) {
  NormalSql normal;
  REQUIRE(normalise(sql, normal));
  return set.match(normal);
}

TEST_CASE("sql template set: the first that matches has the statement") {
  const TemplateSet set(read_all(
      {"SELECT a FROM t WHERE b = {{x}} LIMIT 10", "SELECT a FROM t WHERE b = {{x}} LIMIT {{n}}",
       "SELECT a FROM t WHERE b = 5 LIMIT 10", "DELETE FROM t WHERE b = {{x}}"}));
  CHECK(match(set, "select a from t where b = 5 limit 10") == 0u);
  CHECK(match(set, "select a from t where b = $1 limit 10;") == 0u);
  CHECK(match(set, "select a from t where b = 5 limit 11") == 1u);
  CHECK(match(set, "select a from t where b = $1 limit $2") == 1u);
  CHECK(match(set, "DELETE FROM t WHERE b='x'") == 3u);
  CHECK(match(set, "delete from t") == std::nullopt);
  CHECK(match(set, "") == std::nullopt);
}

TEST_CASE("sql template set: fields are values of the statement, each at its first place") {
  const Template form =
      read_template("UPDATE t SET a = {{a}}, b = 'x' WHERE c = {{c}} OR d = {{a}}").value();
  NormalSql normal;
  const std::string sql = "update t set a = 'it''s', b = 'x' where c = $3 or d = 'it''s'";
  REQUIRE(normalise(sql, normal));
  REQUIRE(values_match(form, normal.values));
  std::vector<SqlValue> values;
  field_values(form, normal, values);
  REQUIRE(values.size() == 2);
  CHECK(plain_value(values[0].text) == "it's");
  CHECK(values[1].what == SqlValue::What::Parameter);
  CHECK(values[1].text == "3");
}

TEST_CASE("sql template set: of templates that differ in values the first has the statement") {
  const TemplateSet set(read_all(
      {"SELECT a FROM t WHERE b = 'x' AND c = {{c}}", "SELECT a FROM t WHERE b = {{b}} AND c = 7",
       "SELECT a FROM t WHERE b = {{v}} AND c = {{v}}", "SELECT a FROM t WHERE b = 'x' AND c = 7",
       "SELECT a FROM t WHERE b = null AND c = {{c}}",
       "SELECT a FROM t WHERE b = {{b}} AND c = {{c}}",
       "SELECT a FROM t WHERE b = 'y' AND c = {{c}}"}));
  CHECK(match(set, "select a from t where b = 'x' and c = 7") == 0u);
  CHECK(match(set, "select a from t where b = 'x' and c = 'x'") == 0u);
  CHECK(match(set, "select a from t where b = 'y' and c = 7") == 1u);
  CHECK(match(set, "select a from t where b = 7 and c = 7") == 1u);
  CHECK(match(set, "select a from t where b = $2 and c = $2") == 2u);
  CHECK(match(set, "select a from t where b = Null and c = 5") == 4u);
  CHECK(match(set, "select a from t where b = 'null' and c = 5") == 5u);
  CHECK(match(set, "select a from t where b = 'y' and c = 8") == 5u);
  CHECK(match(set, "select a from t where b = $1 and c = 8") == 5u);
}

TEST_CASE("sql template set: a thousand that differ in a value only are told apart") {
  std::vector<std::string> queries;
  for (int i = 0; i < 1000; ++i) {
    queries.push_back("SELECT a FROM t WHERE kind = 'k" + std::to_string(i) + "' AND id = {{id}}");
  }
  const TemplateSet set(read_all(queries));
  for (std::uint32_t i = 0; i < 1000; i += 37) {
    CHECK(match(set, "select a from t where kind = 'k" + std::to_string(i) + "' and id = 3") == i);
  }
  CHECK(match(set, "select a from t where kind = 'k1000' and id = 3") == std::nullopt);
  CHECK(match(set, "select a from t where kind = $1 and id = 3") == std::nullopt);
}

TEST_CASE("sql template set: who knows a form's mark is told whether values matter") {
  const TemplateSet set(read_all({"SELECT a FROM t WHERE b = {{x}}", "SELECT a FROM t WHERE b = 5",
                                  "SELECT a FROM u WHERE b = 5", "SELECT a FROM u WHERE b = {{x}}",
                                  "SELECT a FROM v WHERE b = {{x}} OR c = {{x}}", "SELECT now()"}));
  const auto whatever = [&](std::string_view sql) -> int {
    NormalSql normal;
    REQUIRE(normalise(sql, normal));
    const TemplateSet::Alike* const alike = set.find(mark_of(normal.form));
    if (alike == nullptr) return -2;
    return alike->whatever ? static_cast<int>(*alike->whatever) : -1;
  };
  CHECK(whatever("select a from t where b = 5") == 0);
  CHECK(whatever("select a from u where b = 5") == -1);
  CHECK(whatever("select a from v where b = 1 or c = 2") == -1);
  CHECK(whatever("select now()") == 5);
  CHECK(whatever("select a from w where b = 5") == -2);
}

TEST_CASE("sql template set: a thousand statements are told apart") {
  std::vector<std::string> queries;
  for (int i = 0; i < 1000; ++i) {
    queries.push_back("SELECT a FROM t" + std::to_string(i) + " WHERE b = {{x}}");
  }
  const TemplateSet set(read_all(queries));
  for (std::uint32_t i = 0; i < 1000; i += 37) {
    CHECK(match(set, "select a from t" + std::to_string(i) + " where b = 1") == i);
  }
  CHECK(match(set, "select a from t1000 where b = 1") == std::nullopt);
}

}  // namespace
}  // namespace crossfade::postgres
