// Apis in migrations: bound to templates that serve them, held by one migration at a time, shown,
// kept, and not started by anything as long as nothing routes them.
#include <algorithm>

#include "../bench.h"

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

TEST_CASE("migration apis: nothing starts a migration that has one, not even force") {
  Bound bench;
  bench.bind("m");
  must(bench.add(kOwn));
  const Json test = must(bench.life->conductor.test("m")).data;
  CHECK(*test.find("valid") == Json(false));
  CHECK(*test.find("apis_tested") == Json(std::uint64_t{1}));
  CHECK(*test.find("interlays_tested") == Json(std::uint64_t{1}));
  for (const bool force : {false, true}) {
    bench.call.force = force;
    const std::string answer = said(bench.life->conductor.migrate("m", bench.call));
    CHECK(answer.starts_with("409 Migration error: the test of migration 'm' failed: "));
    CHECK(answer.find("apis: this version does not route apis") != std::string::npos);
  }
  CHECK(text_of(bench.got(), "status") == "ready");
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
}

}  // namespace crossfade
