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

using Names = std::vector<std::string>;
constexpr auto kAll = CodeSettings::Told::All;
constexpr auto kNotAll = CodeSettings::Told::NotAll;

TEST_CASE("glance: settings that code writes out are told") {
  const std::pair<const char*, Names> cases[] = {
      {"perform set_config('app.x', tx, false);", {"app.x"}},
      {"perform pg_catalog.SET_CONFIG ( E'app.x'::text, v, false)", {"app.x"}},
      {"execute 'select set_config(''a.b'', ''1'', false)'", {"a.b"}},
      {"set app.x = 1; SET SESSION \"b\" . \"y\" TO 2; set local c.z = 3", {"app.x", "b.y", "c.z"}},
      {"execute 'set app.x = ' || quote_literal(v)", {"app.x"}},
      {"tenant = current_setting('app.tenant', true)", {"app.tenant"}},
      {"current_setting('app.tenant'::text)", {"app.tenant"}},
      {"set work_mem = 1; perform set_config('work_mem', '1', false)", {}},
      {"perform set_config(n, v, true)", {}},
      {"perform set_config('a.' || n, f(v, ')'), (true))", {}},
      {"update t set n = 1", {}}};
  for (const auto& one : cases) {
    const auto& code = one.first;
    const auto& names = one.second;
    CAPTURE(code);
    CHECK(settings_in(code).names == names);
    CHECK(settings_in(code).told == kAll);
  }
}

TEST_CASE("glance: code that computes a name, or seeds random(), does not tell all") {
  for (const char* const code :
       {"perform set_config('app' || '.x', '7', false)", "perform set_config(n, v, false)",
        "perform set_config(n, v, not_true)", "select setseed(0.5)", "perform set_config(n, v",
        "execute format('set %I = 1', n)", "execute 'SET SESSION ' || n || ' = 1'"}) {
    CAPTURE(code);
    CHECK(settings_in(code).told == kNotAll);
  }
}

TEST_CASE("glance: it may be cut anywhere") {
  const std::string_view sql =
      "SET/**/session \"app\".x = 1; select set_config('a.b', '', true)--current_setting('')";
  for (std::size_t begin = 0; begin <= sql.size(); ++begin) {
    for (std::size_t end = begin; end <= sql.size(); ++end) {
      may_set_custom(sql.substr(begin, end - begin));
      settings_in(sql.substr(begin, end - begin));
    }
  }
}

}  // namespace
}  // namespace crossfade::postgres
