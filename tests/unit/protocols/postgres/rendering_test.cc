// Statements written anew: the other template's text, with the values as the client wrote them.
#include "protocols/postgres/rendering.h"

#include <doctest/doctest.h>

#include <string>

#include "protocols/postgres/sql_comments.h"

namespace crossfade::postgres {
namespace {

struct Pair {
  const char* from;
  const char* to;
  Rendering::Fields fields;

  std::optional<Rendering> between() const {
    return Rendering::between(read_template(from).value(), read_template(to).value(), fields);
  }
  std::string operator()(std::string_view statement) const {
    std::string bare;
    REQUIRE(without_comments(statement, bare) == SqlLexis::Plain);
    NormalSql normal;
    REQUIRE(normalise(bare, normal));
    const Template form = read_template(from).value();
    REQUIRE(normal.form == form.form);
    REQUIRE(values_match(form, normal.values));
    std::string out = "before; ";
    between().value().append(normal.values, out);
    REQUIRE(out.starts_with("before; "));
    return out.substr(8);
  }
};

const Pair kUser{"SELECT name FROM users WHERE id = {{id}} AND age > {{age}}",
                 "SELECT label AS name FROM people WHERE years>{{years}} AND uid={{uid}} LIMIT 1;",
                 {{"uid", "id"}, {"years", "age"}}};

TEST_CASE("pg rendering: parameters keep their numbers, literals their spelling") {
  CHECK(kUser("select name from Users where id=$1 and age>$2") ==
        "SELECT label AS name FROM people WHERE years> $2 AND uid= $1 LIMIT 1");
  CHECK(kUser("select name from users where id = $2 and age > $1;") ==
        "SELECT label AS name FROM people WHERE years> $1 AND uid= $2 LIMIT 1");
  CHECK(kUser("select name from users where id = $7 and age > $7") ==
        "SELECT label AS name FROM people WHERE years> $7 AND uid= $7 LIMIT 1");
  CHECK(kUser("select name /* who */ from users -- what\n where id = 'a''b' and age > -1.5e+3") ==
        "SELECT label AS name FROM people WHERE years> -1.5e+3 AND uid= 'a''b' LIMIT 1");
  CHECK(kUser("select name from users where id = E'a\\'; --' and age > $t$ 'x' $t$") ==
        "SELECT label AS name FROM people WHERE years> $t$ 'x' $t$ AND uid= E'a\\'; --' LIMIT 1");
  CHECK(kUser("select name from users where id = U&'\\0061' and age > NULL") ==
        "SELECT label AS name FROM people WHERE years> NULL AND uid= U&'\\0061' LIMIT 1");
  CHECK(kUser("select name from users where id = 1 and age > $1") ==
        "SELECT label AS name FROM people WHERE years> $1 AND uid= 1 LIMIT 1");
}

TEST_CASE("pg rendering: a value never runs together with what stands beside it") {
  const Pair minus{
      "SELECT 1 WHERE a = {{x}}", "SELECT 1 WHERE b-{{x}}=0 AND c@>{{x}}", {{"x", "x"}}};
  CHECK(minus("select 1 where a = -5") == "SELECT 1 WHERE b- -5 =0 AND c@> -5");
  CHECK(minus("select 1 where a = $$x$$") == "SELECT 1 WHERE b- $$x$$ =0 AND c@> $$x$$");
  const Pair cast{"SELECT 1 WHERE a = {{x}}::int",
                  "SELECT 1 WHERE b = {{x}}::int2 AND c = {{x}} [1]",
                  {{"x", "x"}}};
  CHECK(cast("select 1 where a = -5::int") == "SELECT 1 WHERE b = (-5) ::int2 AND c = (-5) [1]");
  CHECK(cast("select 1 where a = 5 :: int") == "SELECT 1 WHERE b = 5 ::int2 AND c = 5 [1]");
  CHECK(cast("select 1 where a = $1::int") == "SELECT 1 WHERE b = $1 ::int2 AND c = $1 [1]");
  const Pair bare{"SELECT {{x}}", "SELECT({{x}})", {{"x", "x"}}};
  CHECK(bare("select 1;;") == "SELECT( 1 )");
}

TEST_CASE("pg rendering: literals of the templates, a field twice, one field for two") {
  const Pair pair{"SELECT a FROM t WHERE b = {{x}} AND c = {{x}} AND d = 'in'",
                  "SELECT a FROM u WHERE kind = 'out $1' AND b = {{y}} OR b = '{{z}}' AND n = 3",
                  {{"y", "x"}, {"z", "x"}}};
  CHECK(pair("select a from t where b = $1 and c = $1 and d = 'in'") ==
        "SELECT a FROM u WHERE kind = 'out $1' AND b = $1 OR b = $1 AND n = 3");
  CHECK(pair("select a from t where b = 'x' and c = 'x' and d = 'in'") ==
        "SELECT a FROM u WHERE kind = 'out $1' AND b = 'x' OR b = 'x' AND n = 3");
  const Pair none{"SELECT a FROM t", "TABLE u", {}};
  CHECK(none("select a from t") == "TABLE u");
}

TEST_CASE("pg rendering: there is none where a field has no value, or would have no use") {
  CHECK_FALSE(Pair{"SELECT {{a}}", "SELECT {{b}}", {}}.between());
  CHECK_FALSE(Pair{"SELECT {{a}}", "SELECT {{b}}", {{"b", "c"}}}.between());
  CHECK_FALSE(Pair{"SELECT {{a}}", "SELECT {{b}}, {{c}}", {{"b", "a"}}}.between());
  CHECK_FALSE(Pair{"SELECT {{a}}, {{b}}", "SELECT {{b}}", {{"b", "b"}}}.between());
  CHECK_FALSE(Pair{"SELECT {{a}}", "SELECT 1", {{"gone", "a"}}}.between());
  CHECK(Pair{"SELECT {{a}}", "SELECT {{b}}", {{"b", "a"}}}.between());
}

TEST_CASE("pg rendering: what a text means may hang on who says it") {
  const auto why = [](const char* query) {
    return what_hangs_on_clients(read_template(query).value());
  };
  CHECK(why("SELECT name FROM users WHERE id = {{id}}") == nullptr);
  CHECK(why("SELECT 'caf\xc3\xa9'") != nullptr);
  CHECK(why("SELECT 'a\\b'") != nullptr);
}

}  // namespace
}  // namespace crossfade::postgres
