// Apis in migrations: bound to templates that serve them, held by one migration at a time, shown,
// kept, routed where nothing is lost by it, and not started by anything where something would be.
#include <algorithm>

#include "../bench.h"
#include "strategies/api_keys.h"
#include "strategies/api_set.h"
#include "strategies/plan.h"

namespace crossfade {

namespace {

// Apis "users" (get, set) and "more" (get) of endpoint "old"; templates "new_get" of "new", "third"
// of endpoint "third", "sql" of a PostgreSQL endpoint; migration "m".
struct Bound : Bench {
  Bound() {
    add_sides();
    add_endpoint("third", 2);
    must(life->endpoints.create(
        json(R"({"id":"pg","kind":"postgres","config":{"host":"10.0.0.1","port":11}})"), call));
    add_template("get", "old", "GET user:{{id}}");
    add_template("set", "old", "SET user:{{id}} {{value}}");
    add_template("del", "old", "DEL user:{{id}}");
    add_template("new_get", "new", "HGET users {{key}}");
    add_template("third", "third", "GET u:{{id}}");
    add_template("sql", "pg", "SELECT name FROM users WHERE id = {{id}}");
    add_api("users", R"([{"template":"get"},{"template":"set"}])");
    add_api("more", R"([{"template":"get"}])");
    add_migration("m", R"({"type":"blue_green"})");
  }
  Answer add(const std::string& body, const std::string& api = "users",
             const std::string& migration = "m") {
    return life->migrations.add_api(migration, api, json(body), call);
  }
  // "users", served by templates of new.
  void add_rendered() {
    add_template("new_set", "new", "HSET users {{key}} {{to}}");
    must(add(R"({"bindings":[{"template":"new_get","fields":{"key":"id"}},)"
             R"({"template":"new_set","fields":{"key":"id","to":"value"}}]})"));
  }
  Json got(bool verbose = false) {
    Call asked = call;
    asked.verbose = verbose;
    return must(life->migrations.get("m", asked)).data;
  }
};

constexpr const char* kOwn =
    R"({"id":"users","bindings":[{"template":"get","fields":{}},{"template":"set","fields":{}}]})";

}  // namespace

TEST_CASE("migration apis: adding one answers in the guide's words and makes it ready") {
  Bound bench;
  CHECK(must(bench.add(kOwn)).data == Json("added Api to migration"));
  CHECK(text_of(bench.got(), "status") == "ready");
  const Json one = bench.got().find("apis")->elements()->front();
  CHECK(text_of(one, "id") == "users");
  CHECK(looks_like_uuid(text_of(one, "uuid")));
  CHECK(text_of(one, "bindings") ==
        R"([{"template":"get","fields":{}},{"template":"set","fields":{}}])");
  bench.restart();
  CHECK(bench.got().find("apis")->elements()->front() == one);
  CHECK(text_of(must(bench.life->migrations.status("m")).data, "apis") == "[" + to_text(one) + "]");
}

TEST_CASE("migration apis: verbose shows the whole api, and what serves it") {
  Bound bench;
  must(bench.add(R"({"bindings":[{"template":"new_get","fields":{"key":"id"}}]})"));
  const Json full = bench.got(true);
  const Json& one = full.find("apis")->elements()->front();
  for (const char* name : {"id", "uuid", "endpoint", "fields", "bindings", "migration"}) {
    CAPTURE(name);
    CHECK(one.find(name) != nullptr);
  }
  CHECK(text_of(*one.find("migration"), "id") == "m");
  CHECK(text_of(*one.find("migration"), "bindings") ==
        R"([{"template":"new_get","fields":{"key":"id"}}])");
}

TEST_CASE("migration apis: one active migration has an api") {
  Bound bench;
  must(bench.add(kOwn));
  bench.add_migration("n", R"({"type":"blue_green"})");
  const std::string held = "409 Migration error: Api Schema already has an active migration";
  CHECK(said(bench.add(kOwn, "users", "n")) == held);
  CHECK(said(bench.add(kOwn)) == held);
  CHECK(said(bench.add(R"({"bindings":[{"template":"get"}]})", "more", "n")) == "200");
  must(bench.life->conductor.cancel("m", bench.call));
  CHECK(said(bench.add(kOwn, "users", "n")) == "200");
}

TEST_CASE("migration apis: what is wrong is refused with its path, and binds nothing") {
  Bound bench;
  const auto refused = [&](const std::string& body) {
    const std::string answer = said(bench.add(body));
    CHECK(answer.starts_with("400 Bad Request: "));
    return answer.substr(answer.find(": ") + 2);
  };
  CHECK(refused("{}") == "bindings: is required");
  CHECK(refused(R"({"bindings":[]})") == "bindings: must name at least one template");
  CHECK(refused(R"({"id":"more","bindings":[{"template":"get"}]})") ==
        "id: is not the api of the path");
  CHECK(refused(R"({"bindings":[{"template":"get"}],"endpoint":"new"})") ==
        "endpoint: is not a known field");
  CHECK(refused(R"({"bindings":[{"template":"get"},{"template":"get"}]})") ==
        "bindings[1].template: 'get' is bound twice");
  CHECK(refused(R"({"bindings":[{"template":"get","fields":{"x":"id"}}]})") ==
        "bindings[0].fields: 'x' is no field of template 'get'");
  CHECK(refused(R"({"bindings":[{"template":"del"}]})") ==
        "bindings[0].template: 'del' is none of the api's, and of the endpoint that serves it "
        "already");
  CHECK(refused(R"({"bindings":[{"template":"sql"}]})") ==
        "bindings[0].template: 'sql' is of a postgres endpoint");
  CHECK(refused(R"({"bindings":[{"template":"new_get"}]})") ==
        "bindings[0].fields: field 'key' of template 'new_get' is none of the api's: map it to one "
        "of them");
  CHECK(refused(R"({"bindings":[{"template":"third"},
                   {"template":"new_get","fields":{"key":"id"}}]})") ==
        "bindings[1].template: 'new_get' is of another endpoint than 'third': an api has one new "
        "side");
  CHECK(said(bench.add(R"({"bindings":[{"template":"nope"}]})")) ==
        "404 Not found: Template 'nope' does not exist");
  CHECK(said(bench.add(kOwn, "nope")) == "404 Not found: Api 'nope' does not exist");
  CHECK(said(bench.add(kOwn, "users", "nope")) == "404 Not found: Migration 'nope' does not exist");
  CHECK(text_of(bench.got(), "status") == "pending");
  must(bench.life->conductor.cancel("m", bench.call));
  CHECK(said(bench.add(kOwn)) ==
        "409 Migration error: Cannot set Ready migration in status: RolledBack");
}

TEST_CASE("migration apis: what it needs is neither deleted nor changed under it") {
  Bound bench;
  must(bench.add(R"({"bindings":[{"template":"new_get","fields":{"key":"value"}}]})"));
  CHECK(said(bench.life->apis.remove("users", bench.call)) ==
        "409 Migration error: Api 'users' is used by migration 'm'");
  CHECK(said(bench.life->templates.remove("new_get", bench.call)) ==
        "409 Migration error: Template 'new_get' is used by migration 'm'");
  CHECK(said(bench.life->templates.patch("new_get", json(R"({"query":"GET {{other}}"})"),
                                         bench.call)) ==
        "409 Migration error: Api 'users' would not fit migration 'm': bindings[0].fields: 'key' "
        "is no field of template 'new_get'");
  CHECK(said(bench.life->apis.patch("users", json(R"({"bindings":[{"template":"get"}]})"),
                                    bench.call)) ==
        "409 Migration error: Api 'users' would not fit migration 'm': bindings[0].fields: field "
        "'key' of template 'new_get' is none of the api's: map it to one of them");
  CHECK(said(bench.life->apis.patch("users", json(R"({"description":"d"})"), bench.call)) == "200");
  must(bench.life->migrations.remove("m", bench.call));
  CHECK(said(bench.life->apis.remove("users", bench.call)) == "200");
}

namespace {

constexpr const char* kDual =
    R"({"type":"canary","read_percentage":0.5,"write_mode":{"mode":"dual_write"}})";

// What `migrate` says of it, by force, too: the one check that failed.
std::string refusal_of(Bound& bench, const std::string& migration) {
  std::string detail;
  for (const bool force : {false, true}) {
    bench.call.force = force;
    const std::string answer = said(bench.life->conductor.migrate(migration, bench.call));
    const std::string begin =
        "409 Migration error: the test of migration '" + migration + "' failed: apis: ";
    CHECK(answer.starts_with(begin));
    detail = answer.substr(std::min(begin.size(), answer.size()));
  }
  bench.call.force = false;
  const Json test = must(bench.life->conductor.test(migration)).data;
  CHECK(*test.find("valid") == Json(false));
  CHECK(text_of(bench.got(), "status") == "ready");
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
  return detail;
}

std::string apis_check(Bound& bench) {
  const Json test = must(bench.life->conductor.test("m")).data;
  for (const Json& check : *test.find("checks")->elements()) {
    if (text_of(check, "name") == "apis") return text_of(check, "detail");
  }
  return {};
}

}  // namespace

TEST_CASE("migration apis: under a strategy that old stays complete by they are routed") {
  const std::vector<std::string> strategies = {
      kDual, R"({"type":"shadow_traffic"})",
      R"({"type":"blue_green","active_is_new":true,"write_mode":{"mode":"dual_write"}})",
      R"({"type":"big_bang","write_mode":{"mode":"dual_write"}})",
      R"({"type":"canary","read_percentage":0.0,)"
      R"("write_mode":{"mode":"cutover","write_percentage":0.0}})"};
  for (const std::string& strategy : strategies) {
    CAPTURE(strategy);
    Bound bench;
    must(bench.patch("m", R"({"strategy":)" + strategy + "}"));
    bench.bind("m");
    must(bench.add(R"({"bindings":[{"template":"get"}]})"));
    CHECK(apis_check(bench) ==
          "what matches one of 1 template(s) of 1 api(s) goes by the strategy; all else is "
          "answered by old");
    CHECK(said(bench.life->conductor.migrate("m", bench.call)) == "200");
    CHECK(bench.status("m") == "running");
    REQUIRE(bench.plane.route("cache").apis != nullptr);
    bench.restart();
    CHECK(bench.plane.route("cache").apis != nullptr);
    CHECK(said(bench.life->conductor.complete("m", bench.call)).starts_with("409"));
    must(bench.life->conductor.rollback("m", bench.call));
    CHECK(bench.plane.route("cache").apis == nullptr);
  }
}

TEST_CASE("migration apis: where writes move, the api's keys go with them") {
  for (const char* strategy :
       {R"({"type":"blue_green","active_is_new":true})", R"({"type":"big_bang"})",
        R"({"type":"canary","read_percentage":0.5})",
        R"({"type":"canary","read_percentage":0.1,"write_mode":)"
        R"({"mode":"cutover","write_percentage":0.5}})",
        R"({"type":"geographic","regions":{"here":true}})",
        R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z",)"
        R"("window_end":"2044-01-15T02:00:00Z"})"}) {
    CAPTURE(strategy);
    Bound bench;
    must(bench.patch("m", std::string(R"({"strategy":)") + strategy + "}"));
    bench.bind("m");
    must(bench.add(kOwn));
    CHECK(apis_check(bench) ==
          "keys that are named by 2 template(s) of 1 api(s) go by the strategy, with all that is "
          "done to them; all else is on old");
    CHECK(said(bench.life->conductor.migrate("m", bench.call)) == "200");
    CHECK(bench.status("m") == "running");  // never complete: other keys are on old
    for (int time = 0; time < 2; ++time) {
      CHECK(bench.plane.route("cache").apis == nullptr);
      REQUIRE(bench.plane.route("cache").api_keys != nullptr);
      CHECK(bench.plane.route("cache").api_keys->bucket("user:7") < kBeyond);
      CHECK(bench.plane.route("cache").api_keys->bucket("order:7") == kBeyond);
      CHECK(bench.plane.route("cache").home_side() == Side::Old);
      bench.restart();
    }
    CHECK(said(bench.life->conductor.complete("m", bench.call)).starts_with("409"));
    must(bench.life->conductor.rollback("m", bench.call));
    CHECK(bench.plane.route("cache").api_keys == nullptr);
  }
}

TEST_CASE("migration apis: what would lose something is started by nothing") {
  Bound bench;
  bench.bind("m");
  must(bench.add(R"({"bindings":[{"template":"get"}]})"));
  must(bench.patch("m", R"({"strategy":{"type":"big_bang"}})"));
  CHECK(refusal_of(bench, "m") ==
        "template 'set' of api 'users' names the same keys as 'get', which move to new with all "
        "that is written to them: let both go, or neither (bind it, or switch its feature on, "
        "too)");
  must(bench.patch("m", R"({"strategy":{"type":"canary","read_percentage":1.0,)"
                        R"("write_mode":{"mode":"cutover","write_percentage":1.0}}})"));
  CHECK(refusal_of(bench, "m").starts_with("template 'set' of api 'users'"));
  must(bench.patch("m", R"({"strategy":{"type":"blue_green","active_is_new":true,)"
                        R"("write_mode":{"mode":"dual_write","policy":"new_authoritative"}}})"));
  CHECK(refusal_of(bench, "m").starts_with("requests of no api are read from old"));
}

TEST_CASE("migration apis: a template that names no key can not take its keys along") {
  for (const auto& [query, why] : std::vector<std::pair<std::string, std::string>>{
           {"PING", "it does not say"},
           {"JSON.GET doc:{{id}}", "is not known"},
           {"EVAL x {{count}} user:{{id}}", "is not known"}}) {
    Bound bench;
    bench.add_template("odd", "old", query);
    bench.add_api("odd", R"([{"template":"odd"}])");
    must(bench.patch("m", R"({"strategy":{"type":"big_bang"}})"));
    bench.bind("m");
    must(bench.add(R"({"bindings":[{"template":"odd"}]})", "odd"));
    CHECK(refusal_of(bench, "m").find("which keys template 'odd' means " + why) !=
          std::string::npos);
  }
}

TEST_CASE("migration apis: a template whose keys are all another's moves nothing, and says so") {
  Bound bench;
  bench.add_template("any", "old", "EXISTS {{key}}");
  bench.add_api("any", R"([{"template":"any"}])");
  bench.add_template("late", "old", "GET late:{{id}}");
  bench.add_api("late", R"([{"template":"late"}])");
  must(bench.patch("m", R"({"strategy":{"type":"blue_green","active_is_new":true}})"));
  bench.bind("m");
  must(bench.add(R"({"bindings":[{"template":"late"}]})", "late"));
  CHECK(refusal_of(bench, "m").starts_with("template 'late' would move no key: "));
}

TEST_CASE("migration apis: keys that have moved stay moved, whatever becomes of templates") {
  Bound bench;
  must(bench.life->conductor.cancel("m", bench.call));
  must(bench.life->apis.remove("more", bench.call));
  bench.add_api("late", R"([{"template":"del"}])");
  bench.add_template("hget", "old", "HGET cart:{{id}} {{field}}");
  bench.add_ready("n", R"({"type":"big_bang"})");
  must(bench.add(kOwn, "users", "n"));
  CHECK(said(bench.life->conductor.migrate("n", bench.call)).find("let both go, or neither") !=
        std::string::npos);
  must(bench.life->apis.patch("late", json(R"({"bindings":[{"template":"hget"}]})"), bench.call));
  must(bench.life->conductor.migrate("n", bench.call));
  const auto refused = [](const std::string& answer) {
    return answer.find("Migration 'n' has moved keys by its apis") != std::string::npos;
  };
  const auto& templates = bench.life->templates;
  CHECK(refused(said(
      bench.life->templates.patch("set", json(R"({"query":"SET u:{{id}} {{v}}"})"), bench.call))));
  CHECK(said(templates.get("set")) == "200");
  // One that is asked before could take keys back; behind them all else may change.
  bench.add_template("vip", "old", "GET user:vip:{{id}}");
  CHECK(refused(said(bench.life->apis.patch(
      "users", json(R"({"bindings":[{"template":"vip"},{"template":"get"},{"template":"set"}]})"),
      bench.call))));
  CHECK(said(bench.life->apis.patch(
            "late", json(R"({"bindings":[{"template":"hget"},{"template":"vip"}]})"),
            bench.call)) == "200");
  CHECK(said(bench.life->apis.remove("late", bench.call)) == "200");
  CHECK(bench.plane.route("cache").api_keys->entries().size() == 2);
}

TEST_CASE("migration apis: taken out, its interlays go on as a whole") {
  Bound bench;
  must(bench.patch("m", R"({"strategy":{"type":"blue_green","active_is_new":true}})"));
  bench.bind("m");
  must(bench.add(kOwn));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(said(bench.life->migrations.remove_apis("none", bench.call)).starts_with("404"));
  CHECK(said(bench.life->migrations.remove_apis("m", bench.call)) == "200");
  for (int time = 0; time < 2; ++time) {
    CHECK(bench.plane.route("cache").api_keys == nullptr);
    CHECK(bench.plane.route("cache").home_side() == Side::New);
    CHECK(bench.got().find("apis")->elements()->empty());
    bench.restart();
  }
  CHECK(said(bench.life->migrations.remove_apis("m", bench.call)) == "200");
  CHECK(said(bench.life->conductor.complete("m", bench.call)) == "200");
  CHECK(said(bench.life->migrations.remove_apis("m", bench.call)) ==
        "409 Migration error: Cannot change apis of migration in status: Completed");
}

TEST_CASE("migration apis: rendered, they are not taken out while their keys are in another form") {
  Bound bench;
  must(bench.patch("m", R"({"strategy":{"type":"blue_green","active_is_new":true}})"));
  bench.bind("m");
  bench.add_rendered();
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(said(bench.life->migrations.remove_apis("m", bench.call))
            .starts_with("409 Migration error: new has what api 'users' asks for in another form"));
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK(said(bench.life->migrations.remove_apis("m", bench.call)) == "200");
}

TEST_CASE("migration apis: keys with writes on new alone are not made old's to decide") {
  Bound bench;
  must(bench.patch("m", R"({"strategy":{"type":"canary","read_percentage":1.0}})"));
  bench.bind("m");
  must(bench.add(kOwn));
  must(bench.life->conductor.migrate("m", bench.call));
  const std::string both = R"({"strategy":{"write_mode":{"mode":"dual_write"}}})";
  const std::string none = R"({"strategy":{"write_mode":null}})";
  CHECK(said(bench.patch("m", both)) == "200");
  CHECK(said(bench.patch("m", none)) == "200");
  bench.plane.count_new_only_writes("cache", 7);
  bench.life->new_only_writes.sample();
  CHECK(said(bench.patch("m", both)).find("writes went to new alone") != std::string::npos);
  bench.call.force = true;
  CHECK(said(bench.patch("m", both)) == "200");
}

TEST_CASE("migration apis: a strategy that splits keys otherwise is not patched in") {
  Bound bench;
  must(bench.patch("m", R"({"strategy":{"type":"canary","read_percentage":0.5}})"));
  bench.bind("m");
  must(bench.add(kOwn));
  must(bench.life->conductor.migrate("m", bench.call));
  const std::string flag = R"({"strategy":{"type":"feature_flag","flags":{"users":true},)"
                           R"("rollout_percentage":0.5}})";
  CHECK(said(bench.patch("m", flag)) == "200");
  CHECK(said(bench.patch("m", R"({"strategy":{"type":"canary","read_percentage":0.5}})")) == "200");
  must(bench.life->interlays.patch(
      "cache", json(R"({"settings":{"user":{"from":"key","pattern":"user:{{user}}"}}})"),
      bench.call));
  CHECK(said(bench.patch("m", flag))
            .starts_with("409 Migration error: strategy.type: other users, or other keys"));
}

TEST_CASE("migration apis: no new api says that keys which have moved stay") {
  Bound bench;
  must(bench.patch("m", R"({"strategy":{"type":"big_bang"}})"));
  bench.bind("m");
  must(bench.add(kOwn));
  must(bench.life->conductor.migrate("m", bench.call));
  const Answer refused =
      bench.life->apis.create(json(R"({"id":"late","bindings":[{"template":"del"}]})"), bench.call);
  CHECK(said(refused).find("names the same keys") != std::string::npos);
  CHECK(said(bench.life->apis.get("late")).starts_with("404"));
}

TEST_CASE("migration apis: one that is complete as a whole holds nothing up") {
  Bound bench;
  must(bench.patch("m", R"({"strategy":{"type":"feature_flag","flags":{"everything":true},)"
                        R"("rollout_percentage":1.0}})"));
  bench.bind("m");
  must(bench.add(kOwn));
  must(bench.life->conductor.migrate("m", bench.call));
  must(bench.life->conductor.complete("m", bench.call));
  must(bench.life->interlays.patch("cache", json(R"({"endpoint":"new"})"), bench.call));
  CHECK(said(bench.life->templates.patch("third", json(R"({"description":"x"})"), bench.call)) ==
        "200");
}

TEST_CASE("migration apis: one that had nothing else is pending again") {
  Bound bench;
  must(bench.add(kOwn));
  CHECK(bench.status("m") == "ready");
  must(bench.life->migrations.remove_apis("m", bench.call));
  CHECK(bench.status("m") == "pending");
}

TEST_CASE("migration apis: served by other templates, its requests are rendered anew") {
  Bound bench;
  must(bench.patch("m", R"({"strategy":{"type":"blue_green","active_is_new":true}})"));
  bench.bind("m");
  bench.add_rendered();
  CHECK(said(bench.life->conductor.migrate("m", bench.call)) == "200");
  const auto keys = bench.plane.route("cache").api_keys;
  REQUIRE(keys != nullptr);
  CHECK(keys->renders());
  using Mapped = redis::Rendering::Fields;
  CHECK(keys->entries() ==
        std::vector<ApiSet::Entry>{
            {"GET user:{{id}}", true, "HGET users {{key}}", Mapped{{"key", "id"}}, "users"},
            {"SET user:{{id}} {{value}}", true, "HSET users {{key}} {{to}}",
             Mapped{{"key", "id"}, {"to", "value"}}, "users"}});
  // A template of new that changes would leave what was written by the former one.
  CHECK(said(bench.life->templates.patch("new_set", json(R"({"query":"HSET u {{key}} {{to}}"})"),
                                         bench.call))
            .find("has moved keys by its apis") != std::string::npos);
}

TEST_CASE("migration apis: what can not be rendered anew is not started") {
  Bound bench;
  bench.bind("m");
  bench.add_template("new_set", "new", "HSET users {{key}} {{to}}");
  bench.add_template("new_touch", "new", "HSET users {{key}} 1");
  const auto refused = [&](const std::string& strategy, const std::string& bindings) {
    must(bench.life->migrations.remove_apis("m", bench.call));
    must(bench.patch("m", R"({"strategy":)" + strategy + "}"));
    must(bench.add(R"({"bindings":[)" + bindings + "]}"));
    return refusal_of(bench, "m");
  };
  const std::string green = R"({"type":"blue_green","active_is_new":true})";
  const std::string get = R"({"template":"new_get","fields":{"key":"id"}})";
  const std::string set = R"({"template":"new_set","fields":{"key":"id","to":"value"}})";
  const std::string touch = R"({"template":"new_touch","fields":{"key":"id"}})";
  CHECK(refused(kDual, get + "," + set)
            .starts_with("api 'users' is to be served by template 'new_get': requests are rendered "
                         "anew where an api moves with its writes"));
  CHECK(refused(green, get) ==
        "api 'users' has template 'set', a Write, and none of that kind serves it: bind exactly "
        "one");
  CHECK(refused(green, get + "," + set + "," + touch) ==
        "api 'users' has template 'set', a Write, and more than one of that kind could serve it: "
        "bind exactly one");
  CHECK(refused(green, get + R"(,{"template":"set"})")
            .find("and by templates of its own: on new its keys have one form") !=
        std::string::npos);
  bench.add_template("new_select", "new", "SELECT {{to}}");
  bench.add_template("new_wait", "new", "BLPOP list {{to}}");
  bench.add_template("new_module", "new", "JSON.SET doc {{to}}");
  for (const char* odd : {"new_select", "new_wait", "new_module"}) {
    const std::string name = odd;
    CHECK(refused(green, get + R"(,{"template":")" + name + R"(","fields":{"to":"value"}})")
              .starts_with("template '" + name + "' can not be rendered, or stand for what is"));
  }
  CHECK(refused(green, R"({"template":"new_get","fields":{"key":"value"}},)" + set) ==
        "template 'get' has nothing for the field 'key' of 'new_get', which serves it");
  CHECK(
      refused(green, get + "," + touch) ==
      "template 'new_touch' has no use for the field 'value' of 'set', which it is to serve: what "
      "clients write by it would be nowhere");
}

TEST_CASE("migration apis: what has no new side is not started") {
  Bound bench;
  must(bench.patch("m", std::string(R"({"strategy":)") + kDual + "}"));
  bench.bind("m");

  bench.add_api("third", R"([{"template":"third"}])");
  must(bench.life->conductor.cancel("m", bench.call));
  bench.add_ready("n", kDual);
  must(bench.add(R"({"bindings":[{"template":"third"}]})", "third", "n"));
  const std::string answer = said(bench.life->conductor.migrate("n", bench.call));
  CHECK(answer.find("api 'third' has no new side: add the interlay before endpoint 'third'") !=
        std::string::npos);

  bench.add_api("sql", R"([{"template":"sql"}])");
  must(bench.life->conductor.cancel("n", bench.call));
  bench.add_ready("o", kDual);
  must(bench.add(R"({"bindings":[{"template":"sql"}]})", "sql", "o"));
  CHECK(said(bench.life->conductor.migrate("o", bench.call)).find("api 'sql' has no new side") !=
        std::string::npos);
}

TEST_CASE("migration apis: while it routes nothing is changed to what can not be routed") {
  Bound bench;
  must(bench.patch("m", std::string(R"({"strategy":)") + kDual + "}"));
  bench.bind("m");
  must(bench.add(R"({"bindings":[{"template":"get"}]})"));
  must(bench.life->conductor.migrate("m", bench.call));
  bench.call.force = true;
  const std::string answer = said(bench.patch("m", R"({"strategy":{"write_mode":null}})"));
  CHECK(answer.starts_with("409 Migration error: strategy: template 'set' of api 'users'"));
  CHECK(said(bench.patch("m", R"({"strategy":{"read_percentage":0.7}})")) == "200");
  CHECK(said(bench.life->apis.patch("users", json(R"({"bindings":[{"template":"set"}]})"),
                                    bench.call))
            .starts_with("409"));
  // Another api that is asked later, or a template of its own that changes, is in force at once.
  const auto entries = [&] { return bench.plane.route("cache").apis->entries(); };
  CHECK(entries().size() == 1);
  must(bench.life->templates.patch("get", json(R"({"query":"GET person:{{id}}"})"), bench.call));
  CHECK(entries().front().query == "GET person:{{id}}");
}

TEST_CASE("migration apis: one that was rolled back does not take an api from who has it now") {
  Bound bench;
  must(bench.patch("m", std::string(R"({"strategy":)") + kDual + "}"));
  bench.bind("m");
  must(bench.add(R"({"bindings":[{"template":"get"}]})"));
  must(bench.life->conductor.migrate("m", bench.call));
  must(bench.life->conductor.rollback("m", bench.call));
  bench.add_migration("n", kDual);
  must(bench.add(R"({"bindings":[{"template":"get"}]})", "users", "n"));
  CHECK(said(bench.life->conductor.migrate("m", bench.call)) ==
        "409 Migration error: Api Schema already has an active migration");
  must(bench.life->conductor.cancel("n", bench.call));
  CHECK(said(bench.life->conductor.migrate("m", bench.call)) == "200");
}

}  // namespace crossfade
