// Templates of new that serve an api of PostgreSQL: what they have to have, and what servers say.
#include "control/service/rendered_sql.h"

#include "../bench.h"
#include "strategies/sql_api_set.h"

namespace crossfade {

namespace {

// Api "users" (get, add) of endpoint "old_pg", templates of "new_pg", and migration "m" of both.
struct Served : Bench {
  Served() {
    for (const auto& [id, port] : {std::pair{"old_pg", 11}, std::pair{"new_pg", 12}}) {
      must(life->endpoints.create(
          json(R"({"id":")" + std::string(id) + R"(","kind":"postgres","config":{"host":)" +
               R"("10.0.0.1","database":"app","username":"app","port":)" + std::to_string(port) +
               "}}"),
          call));
    }
    add_interlay("pg", "old_pg", 7001);
    add_template("get", "old_pg", "SELECT name FROM users WHERE id = {{id}}");
    add_template("add", "old_pg", "INSERT INTO users VALUES ({{id}}, {{name}})");
    add_template("new_get", "new_pg", "SELECT label AS name FROM people WHERE uid={{uid}}");
    add_template("new_add", "new_pg", "INSERT INTO people VALUES ({{name}}, {{id}})");
    add_api("users", R"([{"template":"get"},{"template":"add"}])");
    told.shapes["SELECT name FROM users WHERE id = $1"] = {{"integer"}, {{"name", "text"}}};
    told.shapes["SELECT label AS name FROM people WHERE uid= $1"] = {{"integer"},
                                                                     {{"name", "text"}}};
  }
  void serve(const std::string& strategy, const std::string& bindings) {
    if (!life->keeper.state()->migrations.empty()) {
      must(life->conductor.cancel("m", call));
      must(life->migrations.remove("m", call));
    }
    add_migration("m", strategy);
    must(life->migrations.add_interlay("m", "pg", json(R"({"endpoint":"new_pg"})"), call));
    must(life->migrations.add_api("m", "users", json(R"({"bindings":[)" + bindings + "]}"), call));
  }
  std::string objection() {
    const StatePtr state = life->keeper.state();
    const Migration& one = *state->migrations.begin()->second;
    return rendered_sql_objection(*state, one, one.apis.front()).value_or("");
  }
  Check checked() {
    const StatePtr state = life->keeper.state();
    const Migration& one = *state->migrations.begin()->second;
    auto check = check_rendered_sql(*state, one, one.bindings.front(), life->servers);
    REQUIRE(check.has_value());
    return *check;
  }
};

constexpr const char* kReads =
    R"({"type":"blue_green","active_is_new":true,"write_mode":{"mode":"cutover","write_percentage":0.0}})";
const std::string kGet = R"({"template":"new_get","fields":{"uid":"id"}})";

}  // namespace

TEST_CASE("rendered sql: what is served by a template of new is routed in its form") {
  Served bench;
  bench.serve(kReads, kGet + R"(,{"template":"add"})");
  CHECK(bench.objection().empty());
  CHECK(bench.checked().ok);
  bench.call.force = true;
  must(bench.life->conductor.migrate("m", bench.call));
  const auto apis = bench.plane.route("pg").sql_apis;
  REQUIRE(apis != nullptr);
  CHECK(apis->renders());
  using Mapped = redis::Rendering::Fields;
  CHECK(apis->entries() ==
        std::vector<SqlApiSet::Entry>{
            {"SELECT name FROM users WHERE id = {{id}}", true,
             "SELECT label AS name FROM people WHERE uid={{uid}}", Mapped{{"uid", "id"}}, "users"},
            {"INSERT INTO users VALUES ({{id}}, {{name}})", true, {}, {}, "users"}});
  CHECK(said(bench.life->migrations.remove_apis("m", bench.call))
            .starts_with("409 Migration error: new has what api 'users' asks for in another form"));
  // In force at once, as what was prepared is prepared anew; but not without a use for the field.
  CHECK(said(bench.life->templates.patch(
            "new_get", json(R"({"query":"SELECT name FROM p WHERE k = {{uid}}"})"), bench.call)) ==
        "200");
  CHECK(said(bench.life->templates.patch("new_get", json(R"({"query":"SELECT name FROM p"})"),
                                         bench.call))
            .find("has no use for the field 'id'") != std::string::npos);
}

TEST_CASE("rendered sql: one template of new does not stand for several of an api") {
  Served bench;
  bench.add_template("mail", "old_pg", "SELECT mail FROM users WHERE id = {{id}}");
  must(bench.life->apis.patch(
      "users", json(R"({"bindings":[{"template":"get"},{"template":"mail"}]})"), bench.call));
  bench.serve(kReads, kGet);
  CHECK(bench.objection() ==
        "template 'new_get' would serve more than one Read of api 'users': bind the others "
        "themselves, or make them apis of their own");
  bench.serve(kReads, kGet + R"(,{"template":"mail"})");
  CHECK(bench.objection().empty());
}

TEST_CASE("rendered sql: what an api can not be served by") {
  Served bench;
  bench.add_template("odd", "new_pg", "SELECT label FROM people WHERE uid = {{uid}} AND n = {{n}}");
  bench.add_template("bare", "new_pg", "SELECT name FROM people");
  bench.add_template("bent", "new_pg", R"(SELECT 'a\\b' WHERE 1 = {{id}})");
  const auto refused = [&](const std::string& bindings, const char* strategy = kReads) {
    bench.serve(strategy, bindings);
    return bench.objection();
  };
  CHECK(refused(R"({"template":"get"})").empty());
  CHECK(refused(kGet).empty());
  CHECK(refused(R"({"template":"new_add"})")
            .starts_with("template 'new_add', which serves 'add', is a Write"));
  CHECK(refused(R"({"template":"new_add"})", R"({"type":"shadow_traffic"})").empty());
  CHECK(
      refused(kGet + R"(,{"template":"bare"})").find("more than one of its kind could serve it") !=
      std::string::npos);
  CHECK(refused(R"({"template":"get"},{"template":"bare"})")
            .starts_with("template 'bare' serves nothing of api 'users'"));
  CHECK(refused(R"({"template":"bare"})") ==
        "template 'bare', which serves 'get', has no use for the field 'id': a parameter that "
        "stands for it would have neither a use nor a type on new");
  CHECK(refused(R"({"template":"bent"})").find("has a backslash") != std::string::npos);
  CHECK(refused(R"({"template":"odd","fields":{"uid":"id","n":"name"}})") ==
        "template 'get' has nothing for the field 'n' of 'odd', which serves it");
}

TEST_CASE("rendered sql: servers that describe statements otherwise are found") {
  Served bench;
  bench.serve(kReads, kGet);
  SqlShape& shape = bench.told.shapes["SELECT label AS name FROM people WHERE uid= $1"];
  const auto found = [&](SqlShape said) {
    shape = std::move(said);
    const Check check = bench.checked();
    CHECK_FALSE(check.ok);
    CHECK(check.name == "rendering");
    CHECK(check.interlay == "pg");
    return check.detail;
  };
  const std::string who = "template 'new_get', which serves 'get', ";
  CHECK(found({{"text"}, {{"name", "text"}}})
            .starts_with(who + "takes $1 as text, and not as integer"));
  CHECK(found({{}, {{"name", "text"}}}).starts_with(who + "takes 0 parameter(s), and not 1"));
  CHECK(found({{"integer"}, {}}).starts_with(who + "has 0 column(s), and not 1"));
  CHECK(found({{"integer"}, {{"label", "text"}}}).starts_with(who + "names column 'name' 'label'"));
  CHECK(found({{"integer"}, {{"name", "name"}}})
            .starts_with(who + "has column 'name' as name, not text"));
  bench.told.shapes.erase("SELECT label AS name FROM people WHERE uid= $1");
  CHECK(bench.checked().detail ==
        "new refuses template 'new_get', which serves 'get': no such thing");
  bench.told.shapes.clear();
  CHECK(bench.checked().detail == "old refuses template 'get': no such thing");
}

}  // namespace crossfade
