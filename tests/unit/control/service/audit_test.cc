// The log and the journal say what was changed, and no secret.
#include "../bench.h"

namespace crossfade {

namespace {

bool logged(const Bench& bench, const std::string& line) {
  return bench.log.text().find(line) != std::string::npos;
}

constexpr const char* kVerifier =
    "SCRAM-SHA-256$4096:c2FsdHNhbHRzYWx0c2FsdA==$"
    "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWE=:"
    "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJiYmI=";

}  // namespace

TEST_CASE("audit: of an endpoint the members that changed are logged, its password is not") {
  Bench bench;
  bench.add_sides();
  must(bench.life->endpoints.patch(
      "old", json(R"({"config":{"port":2,"username":"app","password":"s3cret-one"}})"),
      bench.call));
  CHECK(logged(bench, R"(endpoint old: changed by tester: config.port from 1 to 2, )"
                      R"(config.username from null to "app", config.password changed)"));
  must(bench.life->endpoints.patch(
      "old", json(R"({"config":{"url":"redis://app:s3cret-two@10.0.0.1:2"}})"), bench.call));
  CHECK(logged(bench, "endpoint old: changed by tester: config.password changed\n"));
  must(bench.life->endpoints.patch("old", json(R"({"description":"the old one"})"), bench.call));
  CHECK(logged(bench, R"(changed by tester: description from "" to "the old one")"));
  must(bench.life->endpoints.patch("old", json("{}"), bench.call));
  CHECK(logged(bench, "endpoint old: changed by tester: nothing\n"));
  CHECK_FALSE(logged(bench, "s3cret"));
}

TEST_CASE("audit: of an interlay endpoints are named by their ids, and logins are not told") {
  Bench bench;
  bench.add_sides();
  must(bench.life->interlays.patch(
      "cache",
      json(R"({"endpoint":"new","settings":{"clients_max":7,"regions":{"eu":["10.0.0.0/8"]}}})"),
      bench.call));
  CHECK(logged(bench, R"(interlay cache: changed by tester: endpoint from "old" to "new", )"));
  CHECK(logged(bench, "settings.clients_max from null to 7"));
  CHECK(logged(bench, R"(settings.regions from null to {"eu":["10.0.0.0/8"]})"));
  must(bench.life->endpoints.create(
      json(R"({"id":"pg","kind":"postgres","config":{"host":"10.0.0.1","port":11}})"), bench.call));
  bench.add_interlay("app", "pg", 7005);
  Call unchecked = bench.call;
  unchecked.check = false;
  must(bench.life->interlays.patch(
      "app",
      json(R"({"auth":{"mode":"terminate","users":[{"name":"u","verifier":")" +
           std::string(kVerifier) +
           R"("}],"auth_query":{"username":"asker","password":"s3cret-query"}}})"),
      unchecked));
  CHECK(logged(bench, R"(interlay app: changed by tester: auth.mode from null to "terminate")"));
  CHECK(logged(bench, "auth.users changed"));
  CHECK(logged(bench, R"(auth.auth_query.username from null to "asker")"));
  CHECK(logged(bench, "auth.auth_query.password changed"));
  CHECK_FALSE(logged(bench, "s3cret"));
  CHECK_FALSE(logged(bench, "SCRAM-SHA-256$"));
}

TEST_CASE("audit: of templates and apis, too") {
  Bench bench;
  bench.add_sides();
  bench.add_template("get", "old", "GET user:{{id}}");
  bench.add_template("set", "old", "SET user:{{id}} {{value}}");
  bench.add_api("users", R"([{"template":"get"}])");
  must(bench.life->templates.patch("get", json(R"({"query":"GET people:{{id}}"})"), bench.call));
  CHECK(logged(bench, R"(template get: changed by tester: query from "GET user:{{id}}" )"
                      R"(to "GET people:{{id}}")"));
  must(bench.life->apis.patch("users", json(R"({"bindings":[{"template":"set"}]})"), bench.call));
  CHECK(logged(bench, R"(api users: changed by tester: bindings from [{"template":"get")"));
  CHECK(logged(bench, R"( to [{"template":"set")"));
}

TEST_CASE("audit: the journal says what of a migration's definition was changed") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green"})");
  const auto last = [&] {
    const Answer answer = bench.life->migrations.events("m", bench.call);
    return text_of(must(answer).data.elements()->back(), "reason");
  };
  must(
      bench.patch("m", R"({"guardrails":{"error_rate":0.05},"failure_handling":"allow_partial"})"));
  CHECK(last().find("definition changed: failure_handling from ") == 0);
  CHECK(last().find(R"(guardrails from null to {"window_s":60,)") != std::string::npos);
  must(bench.patch("m", R"({"guardrails":{"error_rate":0.1}})"));
  CHECK(last() == "definition changed: guardrails.error_rate from 0.05 to 0.1");
  must(bench.patch("m", R"({"strategy":{"active_is_new":true},"description":"d"})"));
  CHECK(last() == R"(strategy changed from {"type":"blue_green","active_is_new":false} to )"
                  R"({"type":"blue_green","active_is_new":true}; )"
                  R"(definition changed: description from "" to "d")");
  must(bench.patch_strategy("m", R"({"active_is_new":false})"));
  CHECK(last() == R"(strategy changed from {"type":"blue_green","active_is_new":true} to )"
                  R"({"type":"blue_green","active_is_new":false})");
}

TEST_CASE("audit: a migration that is deleted leaves in the log what it was") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green"})");
  must(bench.life->conductor.rollback("m", bench.call));
  must(bench.life->migrations.remove("m", bench.call));
  CHECK(
      logged(bench,
             "migration m: deleted by tester: it was rolled_back (rolled back: all traffic is on "
             "old, no write went to new only), strategy {\"type\":\"blue_green\",\"active_is_new\""
             ":false}, interlay 'cache' from 'old' to 'new', defined at "));
  CHECK(logged(bench, ", with 5 events\n"));
  // Of one that is completed its interlays stand before new by then.
  bench.add_running("n", R"({"type":"big_bang"})");
  must(bench.life->migrations.remove("n", bench.call));
  CHECK(logged(bench, "migration n: deleted by tester: it was completed (everything is on new)"));
  CHECK(logged(bench, R"(, interlay 'cache' from 'old' to 'new', defined at )"));
}

TEST_CASE("audit: what the configuration file changes is logged as well, and only that") {
  Bench bench;
  DeclaredResources declared;
  EndpointSpec one;
  one.id = "one";
  one.address.id = "one";
  one.address.host = "10.0.0.1";
  one.address.port = 1;
  one.address.password = "s3cret-one";
  declared.endpoints.push_back(one);
  REQUIRE(redeclare(bench.life->parts(), declared).ok());
  CHECK(logged(bench, "endpoint one: created by the configuration file\n"));
  REQUIRE(redeclare(bench.life->parts(), declared).ok());
  CHECK_FALSE(logged(bench, "endpoint one: changed"));
  declared.endpoints.front().address.port = 2;
  declared.endpoints.front().address.password = "s3cret-two";
  REQUIRE(redeclare(bench.life->parts(), declared).ok());
  CHECK(logged(bench,
               "endpoint one: changed by the configuration file: config.port from 1 to 2, "
               "config.password changed\n"));
  REQUIRE(redeclare(bench.life->parts(), {}).ok());
  CHECK(logged(bench, "endpoint one: deleted by the configuration file\n"));
  CHECK_FALSE(logged(bench, "s3cret"));
}

}  // namespace crossfade
