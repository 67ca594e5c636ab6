// What the configuration file declares: there from the start, read-only, and changed by reading it
// again.
#include <algorithm>

#include "../bench.h"
#include "control/api_rules.h"
#include "control/config_file.h"

namespace crossfade {

namespace {

DeclaredResources declared(std::string_view document) {
  ProcessConfig config;
  const Status status = read_config_document(json(document), config);
  REQUIRE_MESSAGE(status.ok(), (status.ok() ? "" : status.error().message()));
  return config.declared;
}

// Endpoints "a" (port 1) and "b" (port 2), and interlays as given.
DeclaredResources with_interlays(const std::string& interlays) {
  return declared(R"({"endpoints":[
      {"id":"a","kind":"redis","config":{"host":"10.0.0.1","port":1}},
      {"id":"b","kind":"redis","config":{"host":"10.0.0.1","port":2}}],
      "interlays":[)" +
                  interlays + "]}");
}

const std::string kOne = R"({"id":"i","endpoint":"a","port":7001})";

// Interlays before "a", and "b" as given.
DeclaredResources with_new_at(int port, const std::string& interlays = kOne) {
  return declared(R"({"endpoints":[
      {"id":"a","kind":"redis","config":{"host":"10.0.0.1","port":1}},
      {"id":"b","kind":"redis","config":{"host":"10.0.0.1","port":)" +
                  std::to_string(port) + R"(}}],"interlays":[)" + interlays + "]}");
}

std::string reloaded(Bench& bench, const DeclaredResources& resources) {
  const Status status = redeclare(bench.life->parts(), resources);
  return status.ok() ? "ok" : status.error().message();
}

using Ports = std::map<std::string, std::uint16_t>;

}  // namespace

TEST_CASE("declared: resources are there from the start, and keep their uuid over restarts") {
  Bench bench;
  bench.restart(with_interlays(kOne));
  REQUIRE(bench.life->booted.ok());
  CHECK(bench.plane.open == Ports{{"i", 7001}});
  CHECK(bench.plane.route("i").old_side.port == 1);
  const std::string uuid = text_of(must(bench.life->interlays.get("i")).data, "uuid");
  CHECK(text_of(must(bench.life->interlays.get("i")).data, "declared_in") == "file");
  bench.restart(with_interlays(kOne));
  CHECK(text_of(must(bench.life->interlays.get("i")).data, "uuid") == uuid);
}

TEST_CASE("declared: the API shows them and does not change them") {
  Bench bench;
  bench.restart(with_interlays(kOne));
  const std::string refused =
      " is declared in the configuration file: change it there and send SIGHUP";
  const std::string endpoint = "409 Migration error: Endpoint 'a'" + refused;
  const std::string interlay = "409 Migration error: Interlay 'i'" + refused;
  CHECK(said(bench.life->endpoints.patch("a", json("{}"), bench.call)) == endpoint);
  CHECK(said(bench.life->endpoints.remove("a", bench.call)) == endpoint);
  CHECK(said(bench.life->interlays.patch("i", json("{}"), bench.call)) == interlay);
  CHECK(said(bench.life->interlays.remove("i", bench.call)) == interlay);
  CHECK(said(bench.life->interlays.stop("i", bench.call)) == interlay);
  CHECK(said(bench.life->endpoints.get("a")) == "200");
}

TEST_CASE("declared: what the API made and what the file declares live side by side") {
  Bench bench;
  bench.restart(with_interlays(kOne));
  bench.add_endpoint("c", 1);
  bench.add_interlay("j", "a", 7002);
  bench.restart(with_interlays(kOne));
  CHECK(bench.plane.open == Ports{{"i", 7001}, {"j", 7002}});
}

TEST_CASE("declared: a name that the API has given is refused with its path") {
  Bench bench;
  bench.add_endpoint("b", 1);
  bench.restart(with_interlays(kOne));
  REQUIRE_FALSE(bench.life->booted.ok());
  CHECK(bench.life->booted.error().code == Errc::BadConfig);
  CHECK(
      bench.life->booted.error().message() ==
      "endpoints[1].id: 'b' was made through the API: delete it there, or give this another name");
}

TEST_CASE("declared: reading the file again adds, changes and removes, each in force afterwards") {
  Bench bench;
  bench.restart(with_interlays(kOne));
  CHECK(reloaded(bench, with_interlays(kOne + R"(,{"id":"j","endpoint":"b","port":7002})")) ==
        "ok");
  CHECK(bench.plane.open == Ports{{"i", 7001}, {"j", 7002}});
  CHECK(reloaded(bench,
                 with_interlays(
                     R"({"id":"i","endpoint":"b","port":7003,"settings":{"pipeline_max":5}})")) ==
        "ok");
  CHECK(bench.plane.open == Ports{{"i", 7003}});
  CHECK(bench.plane.route("i").old_side.port == 2);
  CHECK(bench.plane.route("i").settings.pipeline_max == 5);
  CHECK(bench.plane.table->interlays.size() == 1);
  CHECK(reloaded(bench, {}) == "ok");
  CHECK(bench.plane.open.empty());
  CHECK(bench.life->keeper.state()->endpoints.empty());
}

TEST_CASE("declared: a port may go from one interlay to another in one reading") {
  Bench bench;
  bench.restart(with_interlays(kOne));
  CHECK(reloaded(bench, with_interlays(R"({"id":"renamed","endpoint":"a","port":7001})")) == "ok");
  CHECK(bench.plane.open == Ports{{"renamed", 7001}});
}

TEST_CASE(
    "declared: a port that is taken at the start holds up nobody, and is opened when it is free") {
  Bench bench;
  bench.plane.ports_in_use = {7002};
  const auto two = [](int second) {
    return with_interlays(kOne + R"(,{"id":"j","endpoint":"b","port":)" + std::to_string(second) +
                          "}");
  };
  bench.restart(two(7002));
  REQUIRE(bench.life->booted.ok());
  CHECK(bench.plane.open == Ports{{"i", 7001}});
  const auto shown = [&](const char* member) {
    const Answer got = bench.life->interlays.get("j");
    const Json* found = must(got).data.find(member);
    return found == nullptr ? std::string() : to_text(*found);
  };
  CHECK(shown("running") == "false");
  CHECK(shown("why") == R"("open port 7002 on 127.0.0.1: address in use")");
  const auto try_again = [&] { open_late_ports(bench.life->keeper, bench.life->listeners); };
  try_again();
  CHECK(bench.plane.open == Ports{{"i", 7001}});
  SUBCASE("it is free again") {
    CHECK(reloaded(bench, two(7002)) == "ok");  // nothing that the file could mend
    bench.plane.ports_in_use = {};
    try_again();
    CHECK(bench.plane.open == Ports{{"i", 7001}, {"j", 7002}});
  }
  SUBCASE("the file gives it another one") {
    CHECK(reloaded(bench, two(7003)) == "ok");
    CHECK(bench.plane.open == Ports{{"i", 7001}, {"j", 7003}});
  }
  CHECK(shown("running") == "true");
  CHECK(shown("why").empty());
  CHECK_FALSE(bench.life->listeners.any_kept_closed());
}

TEST_CASE("interlays: of one whose port was taken at the start the API changes what it asks for") {
  Bench bench;
  bench.add_endpoint("old", 1);
  bench.add_interlay("i", "old", 7001);
  bench.plane.open = {};  // the process ends, and somebody else is quicker
  bench.plane.ports_in_use = {7001};
  bench.restart();
  REQUIRE(bench.life->booted.ok());
  const auto shown = [&](const char* member) {
    return text_of(must(bench.life->interlays.get("i")).data, member);
  };
  CHECK(shown("running") == "false");
  CHECK(said(bench.life->interlays.start("i", bench.call)).starts_with("409"));
  SUBCASE("another port") {
    must(bench.life->interlays.patch("i", json(R"({"port":7004})"), bench.call));
    open_late_ports(bench.life->keeper, bench.life->listeners);
    CHECK(bench.plane.open == Ports{{"i", 7004}});
    CHECK(shown("running") == "true");
  }
  SUBCASE("stopped") {
    must(bench.life->interlays.stop("i", bench.call));
    bench.plane.ports_in_use = {};
    open_late_ports(bench.life->keeper, bench.life->listeners);
    CHECK(bench.plane.open.empty());
    CHECK(shown("running") == "false");
    must(bench.life->interlays.start("i", bench.call));
    CHECK(bench.plane.open == Ports{{"i", 7001}});
  }
  SUBCASE("deleted") {
    must(bench.life->interlays.remove("i", bench.call));
    CHECK_FALSE(bench.life->listeners.any_kept_closed());
  }
}

TEST_CASE("declared: interlays may trade their ports, read again and at the next start") {
  const auto with_ports = [](int i, int j) {
    return with_interlays(R"({"id":"i","endpoint":"a","port":)" + std::to_string(i) +
                          R"(},{"id":"j","endpoint":"b","port":)" + std::to_string(j) + "}");
  };
  Bench bench;
  bench.restart(with_ports(7001, 7002));
  const auto take = [&](int i, int j) {
    SUBCASE("read again") { CHECK(reloaded(bench, with_ports(i, j)) == "ok"); }
    SUBCASE("at the next start") {
      bench.restart(with_ports(i, j));
      REQUIRE_MESSAGE(bench.life->booted.ok(), bench.life->booted.error().message());
    }
  };
  SUBCASE("in a ring") {
    take(7002, 7001);
    CHECK(bench.plane.open == Ports{{"i", 7002}, {"j", 7001}});
  }
  SUBCASE("the first takes that of the second") {
    take(7002, 7003);
    CHECK(bench.plane.open == Ports{{"i", 7002}, {"j", 7003}});
  }
  SUBCASE("the second takes that of the first") {
    take(7003, 7001);
    CHECK(bench.plane.open == Ports{{"i", 7003}, {"j", 7001}});
  }
  SUBCASE("a ring that can not be kept is taken back") {
    bench.plane.ports_in_use = {7009};
    const auto next = with_interlays(R"({"id":"i","endpoint":"a","port":7002},
                                        {"id":"j","endpoint":"b","port":7001},
                                        {"id":"stuck","endpoint":"a","port":7009})");
    CHECK(reloaded(bench, next).starts_with("open port 7009"));
    CHECK(bench.plane.open == Ports{{"i", 7001}, {"j", 7002}});
  }
}

TEST_CASE("declared: an interlay, and what its migration leads to, keep their kind") {
  const auto of_kinds = [](const std::string& a, const std::string& b) {
    return declared(R"({"endpoints":[
        {"id":"a","kind":")" +
                    a + R"(","config":{"host":"10.0.0.1","port":1}},
        {"id":"b","kind":")" +
                    b + R"(","config":{"host":"10.0.0.1","port":2}}],
        "interlays":[)" +
                    kOne + "]}");
  };
  Bench bench;
  bench.restart(of_kinds("redis", "redis"));
  const std::string interlay =
      "endpoints: 'a' is of kind postgres, but interlay 'i' stands before one of another: give "
      "each another id";
  CHECK(reloaded(bench, of_kinds("postgres", "redis")) == interlay);
  CHECK(reloaded(bench, of_kinds("redis", "postgres")) == "ok");  // nobody uses it
  CHECK(reloaded(bench, of_kinds("redis", "redis")) == "ok");
  bench.add_migration("m", kCanary);
  must(bench.life->migrations.add_interlay("m", "i", json(R"({"endpoint":"b"})"), bench.call));
  const std::string migration =
      "endpoints: 'b' is of kind postgres, but interlay 'i' of a migration to it is not: give that "
      "endpoint another id";
  CHECK(reloaded(bench, of_kinds("redis", "postgres")) == migration);
  CHECK(bench.plane.route("i").old_side.port == 1);
  bench.restart(of_kinds("redis", "postgres"));
  REQUIRE_FALSE(bench.life->booted.ok());
  CHECK(bench.life->booted.error().message() == migration);
  bench.restart(of_kinds("postgres", "postgres"));
  REQUIRE_FALSE(bench.life->booted.ok());
  CHECK(bench.life->booted.error().message() == interlay);
  bench.restart(of_kinds("redis", "redis"));
  REQUIRE(bench.life->booted.ok());
}

TEST_CASE("declared: a reading that fails anywhere changes nothing") {
  Bench bench;
  bench.restart(with_interlays(kOne));
  bench.plane.ports_in_use = {7009};
  const auto next = with_interlays(R"({"id":"renamed","endpoint":"b","port":7001},
                                      {"id":"stuck","endpoint":"a","port":7009})");
  CHECK(reloaded(bench, next).find("open port 7009 on 127.0.0.1: address in use") == 0);
  CHECK(bench.plane.open == Ports{{"i", 7001}});
  CHECK(bench.plane.table->interlays.size() == 1);
  CHECK(bench.plane.route("i").old_side.port == 1);
  CHECK(bench.life->keeper.state()->interlays.size() == 1);
  bench.plane.ports_in_use = {};
  bench.plane.publishes_to_fail = 1;
  CHECK(reloaded(bench, next) != "ok");
  CHECK(bench.plane.open == Ports{{"i", 7001}});
  CHECK(reloaded(bench, next) == "ok");
}

TEST_CASE("declared: a side of a dual write that the file moves is a reason for verification") {
  Bench bench;
  bench.restart(with_new_at(2));
  bench.add_migration("m", kCanary);
  must(bench.life->migrations.add_interlay("m", "i", json(R"({"endpoint":"b"})"), bench.call));
  must(bench.life->conductor.migrate("m", bench.call));
  const auto moved = [&] {
    const auto& uuid = bench.life->keeper.state()->migrations.begin()->first;
    const auto reasons = bench.life->ledger.summary(uuid)->reasons;
    return std::any_of(reasons.begin(), reasons.end(), [](const LedgerReason& reason) {
      return reason.text.starts_with("new endpoint 'b' was given another address");
    });
  };
  CHECK(reloaded(bench, with_new_at(2)) == "ok");
  CHECK_FALSE(moved());
  SUBCASE("read again") { CHECK(reloaded(bench, with_new_at(3)) == "ok"); }
  SUBCASE("at the next start") {
    bench.restart(with_new_at(3));
    REQUIRE(bench.life->booted.ok());
  }
  CHECK(moved());
  CHECK(bench.plane.route("i").new_side->port == 3);
}

TEST_CASE("declared: the file moves no new side on which writes are alone") {
  Bench bench;
  bench.told.up[3] = ToldServers::healthy();
  bench.restart(with_new_at(2));
  bench.add_migration("m", R"({"type":"blue_green"})");
  must(bench.life->migrations.add_interlay("m", "i", json(R"({"endpoint":"b"})"), bench.call));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(reloaded(bench, with_new_at(3)) == "ok");  // nobody is there
  must(bench.patch_strategy("m", R"({"active_is_new":true})"));
  const std::string refusal =
      "endpoints[1].config: Endpoint 'b' is the new side of migration 'm', which is in force: at "
      "another address its writes until now may be missing. Roll back first, or, if the data is "
      "there, too, PATCH the endpoint with ?force=true before the file has it";
  CHECK(reloaded(bench, with_new_at(2)) == refusal);
  const auto patched = [&](const char* body) {
    return said(bench.life->endpoints.patch("b", json(body), bench.call));
  };
  bench.call.check = false;
  CHECK(patched(R"({"config":{"port":2}})").starts_with("409"));
  bench.call.force = true;
  CHECK(patched(R"({"config":{"port":2},"description":"else"})").starts_with("409"));
  CHECK(patched(R"({"config":{"port":2,"password":"else"}})").starts_with("409"));
  CHECK(patched(R"({"config":{"port":2}})") == "200");
  CHECK(reloaded(bench, with_new_at(2)) == "ok");
  CHECK(reloaded(bench, with_new_at(3)) == refusal);
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK(reloaded(bench, with_new_at(3)) == "ok");
  CHECK(patched(R"({"config":{"port":2}})").starts_with("409"));
}

TEST_CASE("declared: an interlay that is gone and an endpoint that is moved are refused as one") {
  Bench bench;
  bench.restart(with_new_at(2));
  bench.add_migration("m", R"({"type":"blue_green","active_is_new":true})");
  must(bench.life->migrations.add_interlay("m", "i", json(R"({"endpoint":"b"})"), bench.call));
  CHECK(reloaded(bench, with_new_at(3, "")) ==
        "interlays: 'i' is no longer declared, but migration 'm' uses it");
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(reloaded(bench, with_new_at(3, "")).starts_with("endpoints[1].config: Endpoint 'b'"));
}

TEST_CASE("declared: what a migration needs can not disappear from the file") {
  Bench bench;
  bench.restart(with_interlays(kOne));
  bench.add_migration("m", kCanary);
  must(bench.life->migrations.add_interlay("m", "i", json(R"({"endpoint":"b"})"), bench.call));
  CHECK(reloaded(bench, with_interlays("")) ==
        "interlays: 'i' is no longer declared, but migration 'm' uses it");
  CHECK(reloaded(bench, declared(R"({"endpoints":[
            {"id":"a","kind":"redis","config":{"host":"10.0.0.1","port":1}}],
            "interlays":[{"id":"i","endpoint":"a","port":7001}]})")) ==
        "endpoints: 'b' is no longer declared, but migration 'm' uses it");
  CHECK(reloaded(bench, with_interlays(R"({"id":"i","endpoint":"b","port":7001})"))
            .find("interlays[0].endpoint: interlay 'i' belongs to migration 'm'") == 0);
}

TEST_CASE("declared: a completed migration is settled in the file before it is deleted") {
  Bench bench;
  bench.restart(with_interlays(kOne));
  bench.add_migration("m", "null");
  must(bench.life->migrations.add_interlay("m", "i", json(R"({"endpoint":"b"})"), bench.call));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(said(bench.life->migrations.remove("m", bench.call))
            .find("name endpoint 'b' there and send SIGHUP") != std::string::npos);
  CHECK(reloaded(bench, with_interlays(R"({"id":"i","endpoint":"b","port":7001})")) == "ok");
  must(bench.life->migrations.remove("m", bench.call));
  CHECK(bench.plane.route("i").old_side.port == 2);
}

TEST_CASE("declared: port 0 is chosen once and stays") {
  Bench bench;
  const auto any_port = with_interlays(R"({"id":"i","endpoint":"a","port":0})");
  bench.restart(any_port);
  const Ports chosen = bench.plane.open;
  REQUIRE(chosen.size() == 1);
  CHECK(reloaded(bench, any_port) == "ok");
  CHECK(bench.plane.open == chosen);
  bench.restart(any_port);
  CHECK(bench.plane.open == chosen);
}

// The endpoints of with_interlays, templates and apis as given.
DeclaredResources with_apis(const std::string& templates, const std::string& apis) {
  return declared(R"({"endpoints":[
      {"id":"a","kind":"redis","config":{"host":"10.0.0.1","port":1}},
      {"id":"b","kind":"redis","config":{"host":"10.0.0.1","port":2}}],
      "templates":[)" +
                  templates + R"(],"apis":[)" + apis + "]}");
}

constexpr const char* kTemplate = R"({"id":"t","endpoint":"a","query":"GET {{id}}"})";
constexpr const char* kApi = R"({"id":"users","bindings":[{"template":"t"}]})";

TEST_CASE("declared: templates and apis are there, read-only, changed and gone by reading again") {
  Bench bench;
  bench.restart(with_apis(kTemplate, kApi));
  REQUIRE(bench.life->booted.ok());
  const std::string uuid = text_of(must(bench.life->apis.get("users")).data, "uuid");
  CHECK(text_of(must(bench.life->templates.get("t")).data, "declared_in") == "file");
  const std::string refused =
      " is declared in the configuration file: change it there and send SIGHUP";
  CHECK(said(bench.life->templates.patch("t", json("{}"), bench.call)) ==
        "409 Migration error: Template 't'" + refused);
  CHECK(said(bench.life->templates.remove("t", bench.call)) ==
        "409 Migration error: Template 't'" + refused);
  CHECK(said(bench.life->apis.patch("users", json("{}"), bench.call)) ==
        "409 Migration error: Api 'users'" + refused);
  CHECK(said(bench.life->apis.remove("users", bench.call)) ==
        "409 Migration error: Api 'users'" + refused);
  CHECK(reloaded(bench, with_apis(R"({"id":"t","endpoint":"b","query":"GET u:{{id}}"})", kApi)) ==
        "ok");
  CHECK(text_of(must(bench.life->apis.get("users")).data, "endpoint") == "b");
  CHECK(text_of(must(bench.life->apis.get("users")).data, "uuid") == uuid);
  CHECK(reloaded(bench, with_apis("", "")) == "ok");
  CHECK(bench.life->keeper.state()->templates.empty());
  CHECK(bench.life->keeper.state()->apis.empty());
}

TEST_CASE("declared: what an api of the API needs stays declared, and fits it") {
  Bench bench;
  bench.restart(with_apis(kTemplate, ""));
  must(bench.life->apis.create(
      json(R"({"id":"mine","bindings":[{"template":"t","fields":{"id":"key"}}]})"), bench.call));
  CHECK(reloaded(bench, with_apis("", "")) ==
        "templates: 't' is no longer declared, but api 'mine' uses it");
  CHECK(reloaded(bench, with_apis(R"({"id":"t","endpoint":"a","query":"GET {{x}}"})", "")) ==
        "templates: api 'mine'.bindings[0].fields: 'id' is no field of template 't'");
  CHECK(text_of(must(bench.life->templates.get("t")).data, "query") == "GET {{id}}");
}

TEST_CASE("declared: an endpoint keeps its kind while a template of the API uses it") {
  Bench bench;
  const auto of_kind = [](const std::string& kind, const std::string& query) {
    return declared(R"({"endpoints":[{"id":"a","kind":")" + kind +
                    R"(","config":{"host":"10.0.0.1","port":1}}],"templates":[
                    {"id":"t","endpoint":"a","query":")" +
                    query + "\"}]}");
  };
  bench.restart(of_kind("redis", "VALUES {{x}}"));
  CHECK(reloaded(bench, of_kind("postgres", "VALUES ({{x}})")) == "ok");
  bench.add_template("mine", "a", "SELECT {{x}}");
  CHECK(reloaded(bench, of_kind("redis", "GET {{x}}")) ==
        "endpoints: 'a' is of another kind now, but template 'mine' uses it");
}

TEST_CASE("declared: apis of the file come first, in its order") {
  Bench bench;
  const std::string second = R"({"id":"second","bindings":[{"template":"t"}]})";
  bench.restart(with_apis(kTemplate, ""));
  bench.add_api("mine", R"([{"template":"t"}])");
  const auto order = [&] {
    std::string ids;
    for (const ApiPtr& api : in_order(*bench.life->keeper.state())) ids += api->identity.id + " ";
    return ids;
  };
  CHECK(reloaded(bench, with_apis(kTemplate, kApi + ("," + second))) == "ok");
  CHECK(order() == "users second mine ");
  CHECK(reloaded(bench, with_apis(kTemplate, second + "," + kApi)) == "ok");
  CHECK(order() == "second users mine ");
}

TEST_CASE("declared: a shard that its migration goes by is not changed under it") {
  const auto with_shard = [](const std::string& shard) {
    return declared(R"({"endpoints":[
      {"id":"a","kind":"redis","config":{"host":"10.0.0.1","port":1,"shard":)" +
                    shard + R"(}},
      {"id":"b","kind":"redis","config":{"host":"10.0.0.1","port":2}}],
      "interlays":[)" +
                    kOne + "]}");
  };
  Bench bench;
  bench.restart(with_shard(R"("s0")"));
  bench.add_migration(
      "m", R"({"type":"rolling_update","migrated_instances":["s0"],"total_instances":2})");
  must(bench.life->migrations.add_interlay("m", "i", json(R"({"endpoint":"b"})"), bench.call));
  CHECK(reloaded(bench, with_shard(R"("s1")")) == "ok");
  CHECK(reloaded(bench, with_shard(R"("s0")")) == "ok");
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(reloaded(bench, with_shard(R"("s1")"))
            .find("endpoints[0].config.shard: migration 'm' goes by it") != std::string::npos);
  CHECK(home(*bench.plane.route("i").strategy) == Side::New);
  must(bench.patch_strategy("m", R"({"migrated_instances":["s1"]})"));
  CHECK(reloaded(bench, with_shard(R"("s2")")) == "ok");
}

}  // namespace crossfade
