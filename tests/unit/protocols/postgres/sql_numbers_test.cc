// Numbers, and what only looks like them.
#include "protocols/postgres/sql_numbers.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

std::string equal(std::string_view sql) {
  std::string out;
  return with_numbers_equal(sql, out) ? out.substr(1) : "-";
}

TEST_CASE("numbers: those of a query are made equal") {
  CHECK(equal("select a from t where id = 12345;") == "select a from t where id = 0;");
  CHECK(equal("select 1, 22,333") == "select 0, 0,0");
  CHECK(equal("select 1.5, .25") == "select 0.0, .0");
  CHECK(equal("1") == "0");
  CHECK(equal("update t1 set n2 = n2 + 7 where x = 'a1'") ==
        "update t1 set n2 = n2 + 0 where x = 'a1'");
}

TEST_CASE("numbers: names, parameters and quoted text stay as they are") {
  for (const char* sql : {"select t1.a2 from t1", "select $1, $22", "select 'x1', '2''3'",
                          "select \"3\" from \"t 4\"", "select a1b2c3", "", "select é1"}) {
    CAPTURE(sql);
    CHECK(equal(sql) == "-");
  }
  CHECK(equal("select $1, 5, '6', \"7\", a8") == "select $1, 0, '6', \"7\", a8");
}

TEST_CASE("numbers: what is not clear is left alone") {
  for (const char* sql : {"select 5, E'\\''", "select 5, 'open", "select 5, $$6$$",
                          "select 5, $a$6$a$", "select 5, $1a", "select 5 \\ 6", "select 5, \"x"}) {
    CAPTURE(sql);
    CHECK(equal(sql) == "-");
  }
  CHECK(equal("select 0x1F, 5") == "select 0x1F, 0");
  CHECK(equal("select 1e5, 5") == "select 1e5, 0");
  CHECK(equal("select 1_000, 5") == "select 1_000, 0");
}

TEST_CASE("numbers: it may be cut anywhere") {
  const std::string_view sql =
      "select a1, 22 from \"t 3\" where x = 'y''4' and n = $5 or 6.7 > .8e9";
  std::string out;
  for (std::size_t begin = 0; begin <= sql.size(); ++begin) {
    for (std::size_t size = 0; begin + size <= sql.size(); ++size) {
      with_numbers_equal(sql.substr(begin, size), out);
    }
  }
}

}  // namespace
}  // namespace crossfade::postgres
