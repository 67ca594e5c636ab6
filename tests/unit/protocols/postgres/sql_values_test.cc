// SQL for people to see: values are hidden, and in doubt everything is.
#include "protocols/postgres/sql_values.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

std::string shown(std::string_view sql) { return without_values(sql, 1024); }

TEST_CASE("sql values: literals are hidden, words, names and parameters stay") {
  CHECK(shown("SELECT a1, \"B 2\" FROM t WHERE a = 17 AND b = 'x' AND c = $1") ==
        "SELECT a1, \"B 2\" FROM t WHERE a = ? AND b = ? AND c = $1");
  CHECK(shown("SELECT 1.5e10, .5, 0xff, -3, 1_000") == "SELECT ?, ?, ?, -?, ?");
  CHECK(shown("SELECT 'it''s', '', E'a', $$b$$, $x$c$d$x$, B'01'") == "SELECT ?, ?, E?, ?, ?, B?");
  CHECK(shown("a\"b\"\"c\"'d'") == "a\"b\"\"c\"?");
  CHECK(shown("a$1$b") == "a$1$b");
  CHECK(shown("") == "");
}

TEST_CASE("sql values: comments go with what they say") {
  CHECK(shown("SELECT 1 -- secret\n, 2") == "SELECT ?  \n, ?");
  CHECK(shown("SELECT /* secret /* more */ 'x */ 1") == "SELECT   ?");
  CHECK(shown("SELECT 1 -- secret") == "SELECT ?  ");
}

TEST_CASE("sql values: from where there is doubt nothing is shown") {
  CHECK(shown("SELECT 'secret") == "SELECT ?");
  CHECK(shown("SELECT $$secret") == "SELECT ?");
  CHECK(shown("SELECT \"secret") == "SELECT ?");
  CHECK(shown("SELECT /* secret") == "SELECT ?");
  CHECK(shown("SELECT 'a\\' secret '") == "SELECT ?");
  CHECK(shown("SELECT E'a\\' secret '") == "SELECT E?");
  CHECK(shown("SELECT 1$a$ secret") == "SELECT ?");
  CHECK(shown("SELECT $1$ secret") == "SELECT ?");
}

TEST_CASE("sql values: every prefix of a statement hides what the whole one hides") {
  const std::string sql = "SELECT 'secret', $a$secret$a$, E'x\\'secret', 77 /* secret */, 'secret'";
  for (std::size_t size = 0; size <= sql.size(); ++size) {
    const std::string part = shown(std::string_view(sql).substr(0, size));
    CHECK(part.find("secret") == std::string::npos);
    CHECK(part.find('7') == std::string::npos);
  }
}

TEST_CASE("sql values: text at the limit is whole, a longer one says that it is cut") {
  CHECK(without_values("SELECT a", 8) == "SELECT a");
  CHECK(without_values("SELECT ab", 8) == "SELEC...");
  CHECK(without_values("SELECT 1234567", 8) == "SELECT ?");
  CHECK(without_values("SELECT", 2) == "...");
}

}  // namespace
}  // namespace crossfade::postgres
