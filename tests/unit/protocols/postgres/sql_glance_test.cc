// What a glance has to see.
#include "protocols/postgres/sql_glance.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

TEST_CASE("glance: a setting with a dot in its name is seen wherever it is set") {
  for (const char* sql :
       {"set app.x = 1", "SET app.x TO 'y'", "  Set Session app.x=1", "set local app.x = 1",
        "select 1; set app.x=1", "/* hello */ set /* there */ app.x = 1", "set app . x = 1",
        "set \"app\".\"x\" = 1", "-- no\nset app.x = 1", "select set_config('app.x', '1', false)",
        "select pg_catalog.SET_CONFIG($1,$2,true)", "begin;set -- so\n app.x = 1", "s;set a.x = 1",
        "e set a.x = 1", "t;SET a.x = 1", "se;set a.x = 1", "sset set a.x = 1",
        "tses;set a.x = 1"}) {
    CAPTURE(sql);
    CHECK(may_set_custom(sql));
  }
}

TEST_CASE("glance: what sets nothing of the kind is not") {
  for (const char* sql :
       {"", "s", "set", "set work_mem = '1MB'", "update t set a = b.c where d = 1",
        "select reset.x from reset", "insert into sets values (1.5)", "select offset.a",
        "set search_path to a, b.c", "select 1", "select my_set.config"}) {
    CAPTURE(sql);
    CHECK_FALSE(may_set_custom(sql));
  }
}

TEST_CASE("glance: it may be cut anywhere") {
  const std::string_view sql = "SET/**/session \"app\".x = 1; select set_config('a.b', '', true)--";
  for (std::size_t begin = 0; begin <= sql.size(); ++begin) {
    for (std::size_t end = begin; end <= sql.size(); ++end) {
      may_set_custom(sql.substr(begin, end - begin));
    }
  }
}

}  // namespace
}  // namespace crossfade::postgres
