// Templates of SQL: their normal form, their fields, and what is refused.
#include "protocols/postgres/template.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

std::string refusal(std::string_view query) {
  const auto read = read_template(query);
  return read ? "accepted" : read.error().reason;
}

std::string form_of(std::string_view sql) {
  NormalSql normal;
  return normalise(sql, normal) ? normal.form : "none";
}

// Whether a statement is one of a template.
bool fits(std::string_view query, std::string_view sql) {
  const auto read = read_template(query);
  REQUIRE(read);
  NormalSql normal;
  REQUIRE(normalise(sql, normal));
  return normal.form == read.value().form && values_match(read.value(), normal.values);
}

TEST_CASE("normal form: values are taken out, blanks, case and the last semicolon do not matter") {
  const std::string form = form_of("select a from t where b=5");
  CHECK(form == "select a from t where b = \1");
  for (const char* same : {"SELECT a\n FROM  T WHERE b = $1 ;", "select a from t where b = 'it''s'",
                           "select a from t where b = E'a\\'b'", "select a from t where b=-1.5e-3",
                           "select a from t where b = - 7;;", "select a from t where b = $x$ ; $x$",
                           "select a from t where b = NULL", "select a from t where b = .5",
                           "select a from t where b = U&'x'", "select a from t where b = x'0f'"}) {
    CHECK_MESSAGE(form_of(same) == form, same);
  }
  for (const char* other :
       {"select a from t where b = 5 - 4", "select a from t where b = c", "select a from t",
        "select a from t where b < 5", "select a from \"t\" where b = 5",
        "select a from t where b = 5; select 1", "select a from t where b = (5)"}) {
    CHECK_MESSAGE(form_of(other) != form, other);
  }
}

TEST_CASE("normal form: a sign is a value's only where nothing stands before it") {
  CHECK(form_of("select 3 - 5") == "select \1 - \1");
  CHECK(form_of("select a -5") == "select a - \1");
  CHECK(form_of("select (a) -5") == "select ( a ) - \1");
  CHECK(form_of("values (-5, +6)") == "values ( \1 , \1 )");
  CHECK(form_of("select -5") == "select \1");
  CHECK(form_of("select a<-5") == "select a < \1");
  CHECK(form_of("select a @- 5") == "select a @- \1");
}

TEST_CASE("normal form: values are given as they were written") {
  NormalSql normal;
  REQUIRE(normalise("insert into t values ($12, 'a''b', - 5, true, 1.5e3)", normal));
  REQUIRE(normal.values.size() == 5);
  CHECK(normal.values[0].what == SqlValue::What::Parameter);
  CHECK(normal.values[0].text == "12");
  CHECK(normal.values[1].what == SqlValue::What::Literal);
  CHECK(normal.values[1].text == "'a''b'");
  CHECK(plain_value(normal.values[1].text) == "a'b");
  CHECK(normal.values[2].text == "- 5");
  CHECK(normal.values[3].text == "true");
  CHECK(normal.values[4].text == "1.5e3");
  REQUIRE(normalise("select 0xfF, .5e-7, 1_000, 2.", normal));
  CHECK(normal.values.size() == 4);
}

TEST_CASE("normal form: what has no clear end, and what is no SQL, has none") {
  for (const char* text : {"select 'a", "select \"a", "select $a$ b", "select $", "select {a}",
                           "select E'a\\'", "select \\d", "$$", "select 5abc", "select 5e",
                           "select 5e1e1", "select 0x1g", "select 1_e"}) {
    CHECK_MESSAGE(form_of(text) == "none", text);
  }
}

TEST_CASE("normal form: of statements one by one, each as it is alone") {
  const std::string_view sql = "select -5, ';' ;; begin;select \";\" from t";
  std::vector<std::string> forms;
  NormalSql normal;
  for (std::size_t at = 0; at < sql.size();) {
    REQUIRE(normalise_next(sql, at, normal));
    forms.push_back(normal.form);
  }
  CHECK(forms == std::vector<std::string>{"select \1 , \1", "", "begin", "select \";\" from t"});
  std::size_t at = 7;
  CHECK_FALSE(normalise_next("select 'a", at, normal));
}

TEST_CASE("sql template: a field is a literal or a parameter, in quotes or not") {
  for (const char* query :
       {"SELECT name FROM users WHERE id = {{id}}", "select name from users where id='{{id}}';",
        "SELECT name /* of one */ FROM users WHERE id = {{id}}"}) {
    CHECK(fits(query, "select name from users where id = 42"));
    CHECK(fits(query, "select name from users where id = '42'"));
    CHECK(fits(query, "SELECT name FROM users WHERE id = $1"));
    CHECK_FALSE(fits(query, "select name from users where id = other"));
    CHECK_FALSE(fits(query, "select name from users where id = 42 or id = 43"));
  }
}

TEST_CASE("sql template: a value that is no field is written alike") {
  const char* query = "SELECT a FROM t WHERE s = 'on' AND d IS NULL AND id = {{id}} LIMIT 10";
  CHECK(fits(query, "select a from t where s = 'on' and d is null and id = 3 limit 10"));
  CHECK_FALSE(fits(query, "select a from t where s = 'ON' and d is null and id = 3 limit 10"));
  CHECK_FALSE(fits(query, "select a from t where s = 'on' and d is null and id = 3 limit 11"));
  CHECK_FALSE(fits(query, "select a from t where s = $1 and d is null and id = 3 limit 10"));
  CHECK_FALSE(fits(query, "select a from t where s = 'on' and d is true and id = 3 limit 10"));
}

TEST_CASE("sql template: a field that stands twice has one value") {
  const char* query = "SELECT a FROM t WHERE b = {{x}} OR c = {{x}}";
  CHECK(read_template(query).value().fields == std::vector<std::string>{"x"});
  CHECK(fits(query, "select a from t where b = 1 or c = 1"));
  CHECK(fits(query, "select a from t where b = $1 or c = $1"));
  CHECK_FALSE(fits(query, "select a from t where b = 1 or c = 2"));
  CHECK_FALSE(fits(query, "select a from t where b = $1 or c = $2"));
}

TEST_CASE("sql template: what is not certainly a read is a write") {
  const auto kind = [](std::string_view query) { return kind_of(read_template(query).value()); };
  CHECK(kind("SELECT a FROM t JOIN s.u USING (x) WHERE b = {{b}}") == Kind::Read);
  CHECK(kind("SELECT {{a}} + 1") == Kind::Read);
  CHECK(kind("UPDATE t SET a = {{a}}") == Kind::Write);
  CHECK(kind("SELECT a FROM t FOR UPDATE") == Kind::Write);
  CHECK(kind("SELECT my_function({{a}})") == Kind::Write);
}

TEST_CASE("sql template: what says nothing, or not enough, is refused with its reason") {
  const char* const whole =
      "has a field that is part of a value or a name, or a parameter such as $1: a field stands "
      "for a whole value, and a parameter is written as a field";
  const char* const grammar =
      "is not one statement that PostgreSQL's grammar (of version 15) can read";
  CHECK(refusal("SELECT a FROM t WHERE b LIKE '{{x}}%'") == whole);
  CHECK(refusal("SELECT a FROM t WHERE b = E'{{x}}'") == whole);
  CHECK(refusal("SELECT \"{{x}}\" FROM t") == whole);
  CHECK(refusal("SELECT a FROM t WHERE b = $1") == whole);
  CHECK(refusal("SELECT {{x}}5") == whole);
  CHECK(refusal("SELECT {{x}}b") == whole);
  CHECK(refusal("SELECT a{{x}}") == whole);
  CHECK(refusal("SELECT 'a''{{x}}'") == whole);
  CHECK(refusal("SELECT '{{x}}''{{y}}'") == whole);
  CHECK(refusal("SELECT a FROM {{table}}") == grammar);
  CHECK(refusal("SELECT a; SELECT b") == grammar);
  CHECK(refusal("") == grammar);
  CHECK(refusal("SELEC 1") == grammar);
  CHECK(refusal("SELECT 'a") == "has a literal or a comment that does not clearly end");
  CHECK(refusal("SELECT {{a b}}").starts_with("has a field whose name"));
  CHECK(refusal("SELECT {{a").starts_with("has \"{{\""));
  CHECK(refusal("SELECT " + std::string(kTemplateMax, '1')) == "is longer than 16384 bytes");
}

}  // namespace
}  // namespace crossfade::postgres
