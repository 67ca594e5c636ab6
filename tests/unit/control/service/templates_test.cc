// Templates: read whole before they are kept, kept over restarts, and held by the apis that name
// them.
#include <algorithm>

#include "../bench.h"

namespace crossfade {

namespace {

Answer create(Bench& bench, const std::string& members) {
  return bench.life->templates.create(json(R"({"id":"t","endpoint":"old",)" + members + "}"),
                                      bench.call);
}

Answer patch(Bench& bench, const std::string& body) {
  return bench.life->templates.patch("t", json(body), bench.call);
}

void add_postgres(Bench& bench) {
  must(bench.life->endpoints.create(
      json(R"({"id":"sql","kind":"postgres","config":{"host":"10.0.0.1","port":11}})"),
      bench.call));
}

}  // namespace

TEST_CASE("templates: kind and fields are those of the query, where nothing else is said") {
  Bench bench;
  bench.add_sides();
  const Reply created = must(create(bench, R"("query":"set user:{{id}} {{value}}")"));
  CHECK(created.status == 201);
  CHECK_FALSE(created.etag.empty());
  const Json& data = created.data;
  CHECK(text_of(data, "endpoint") == "old");
  CHECK(text_of(data, "kind") == "Write");
  CHECK(text_of(data, "query") == "set user:{{id}} {{value}}");
  CHECK(text_of(data, "fields") == R"([{"name":"id","type":"string","required":true},)"
                                   R"({"name":"value","type":"string","required":true}])");
  CHECK(text_of(data, "declared_in") == "api");
  CHECK(looks_like_uuid(text_of(data, "uuid")));
  must(bench.life->templates.create(
      json(R"({"id":"read","endpoint":"old","query":"GET user:{{id}}"})"), bench.call));
  CHECK(text_of(must(bench.life->templates.get("read")).data, "kind") == "Read");
  CHECK(must(bench.life->templates.list()).data.elements()->size() == 2);
}

TEST_CASE("templates: what is said of kind and fields is kept, in any case of words") {
  Bench bench;
  bench.add_sides();
  must(create(bench, R"("query":"my.read {{a}} {{b}}","kind":"READ","description":"d",
                        "fields":[{"name":"b","type":"Integer","required":false}])"));
  bench.restart();
  const Json data = must(bench.life->templates.get("t")).data;
  CHECK(text_of(data, "kind") == "Read");
  CHECK(text_of(data, "description") == "d");
  CHECK(text_of(data, "fields") == R"([{"name":"a","type":"string","required":true},)"
                                   R"({"name":"b","type":"integer","required":false}])");
}

TEST_CASE("templates: a query is read as what its endpoint speaks") {
  Bench bench;
  add_postgres(bench);
  const auto create_sql = [&](const std::string& id, const std::string& query) {
    return bench.life->templates.create(
        json(R"({"id":")" + id + R"(","endpoint":"sql","query":")" + query + "\"}"), bench.call);
  };
  const Reply read = must(create_sql("r", "SELECT name FROM users WHERE id = {{id}}"));
  CHECK(text_of(read.data, "kind") == "Read");
  CHECK(text_of(must(create_sql("w", "DELETE FROM users WHERE id = {{id}}")).data, "kind") ==
        "Write");
  CHECK(said(create_sql("x", "GET user:{{id}}")).starts_with("400 Bad Request: query: "));
  bench.restart();
  CHECK(text_of(must(bench.life->templates.get("r")).data, "kind") == "Read");
}

TEST_CASE("templates: what is wrong is refused with its path") {
  Bench bench;
  bench.add_sides();
  const auto refused = [&](const std::string& members) {
    const std::string answer = said(create(bench, members));
    CHECK(answer.starts_with("400 Bad Request: "));
    return answer.substr(answer.find(": ") + 2);
  };
  CHECK(refused(R"("kind":"Read")") == "query: is required");
  CHECK(refused(R"("query":"GET {{id")") == "query: has \"{{\" without \"}}\"");
  CHECK(refused(R"("query":"GET x","kind":"Other")") == "kind: must be Read or Write");
  CHECK(refused(R"("query":"GET x","kind":"Write")") ==
        "kind: the command of the query is a Read: say so, or leave kind out");
  CHECK(refused(R"("query":"SET x {{v}}","kind":"Read")") ==
        "kind: the command of the query is a Write: say so, or leave kind out");
  CHECK(refused(R"("query":"GET x","fields":{})") == "fields: must be an array, is an object");
  CHECK(refused(R"("query":"GET x","fields":[{"name":"y"}])") ==
        "fields[0].name: 'y' is no field of the query");
  CHECK(refused(R"("query":"GET {{y}}","fields":[{"name":"y"},{"name":"y"}])") ==
        "fields[1].name: 'y' is given twice");
  CHECK(refused(R"("query":"GET {{y}}","fields":[{"name":"y","type":"date"}])") ==
        "fields[0].type: must be string, integer, number or boolean");
  CHECK(refused(R"("query":"GET {{y}}","fields":[{"name":"y","size":1}])") ==
        "fields[0].size: is not a known field");
  CHECK(refused(R"("query":"GET x","nosuch":1)") == "nosuch: is not a known field");
  CHECK(said(bench.life->templates.create(json(R"({"id":"t","endpoint":"x","query":"GET y"})"),
                                          bench.call)) ==
        "404 Not found: Endpoint 'x' does not exist");
  CHECK(bench.life->keeper.state()->templates.empty());
  must(create(bench, R"("query":"GET x")"));
  CHECK(said(create(bench, R"("query":"GET x")")) ==
        "409 Migration error: Template 't' already exists");
}

TEST_CASE("templates: of a kind that a former version has stored the command has the last word") {
  TemplateDefinition definition;
  definition.identity = make_identity("t", Origin::Api);
  definition.spec.id = "t";
  definition.spec.endpoint = make_uuid();
  definition.spec.query = "SET x {{v}}";
  definition.spec.kind = Kind::Read;
  const auto restored = template_from_stored(json(to_text(to_stored(definition))));
  REQUIRE(restored);
  CHECK(restored->meaning.kind == Kind::Write);
}

TEST_CASE("templates: PATCH merges, If-Match is asked for, what is not told follows the query") {
  Bench bench;
  bench.add_sides();
  const std::string etag = must(create(bench, R"("query":"GET {{id}}","description":"d")")).etag;
  const Reply patched = must(patch(bench, R"({"query":"SET {{id}} x"})"));
  CHECK(text_of(patched.data, "kind") == "Write");
  CHECK(text_of(patched.data, "description") == "d");
  CHECK(patched.etag != etag);
  bench.call.if_match = etag;
  CHECK(said(patch(bench, "{}")).starts_with("412"));
  CHECK(said(bench.life->templates.remove("t", bench.call)).starts_with("412"));
  bench.call.if_match = patched.etag;
  CHECK(said(patch(bench, R"({"kind":"Read"})")).starts_with("400 Bad Request: kind: "));
  CHECK(said(patch(bench, R"({"query":"my.get {{id}}","kind":"Read"})")) == "200");
  bench.call.if_match.clear();
  CHECK(text_of(must(bench.life->templates.get("t")).data, "kind") == "Read");
  CHECK(text_of(must(patch(bench, R"({"kind":null})")).data, "kind") == "Write");
  CHECK(said(patch(bench, R"({"id":"u"})")) == "400 Bad Request: id: can not be changed");
  CHECK(said(patch(bench, R"({"query":"GET {{"})")).starts_with("400 Bad Request: query: "));
  CHECK(said(bench.life->templates.patch("x", json("{}"), bench.call)) ==
        "404 Not found: Template 'x' does not exist");
}

TEST_CASE("templates: neither they nor their endpoints are deleted while they are used") {
  Bench bench;
  bench.add_sides();
  bench.add_template("t", "new", "GET {{id}}");
  bench.add_api("a", R"([{"template":"t"}])");
  CHECK(said(bench.life->templates.remove("t", bench.call)) ==
        "409 Migration error: Template 't' is used by api 'a'");
  CHECK(said(bench.life->endpoints.remove("new", bench.call)) ==
        "409 Migration error: Endpoint 'new' is used by template 't'");
  must(bench.life->apis.remove("a", bench.call));
  must(bench.life->templates.remove("t", bench.call));
  must(bench.life->endpoints.remove("new", bench.call));
  bench.restart();
  CHECK(bench.life->keeper.state()->templates.empty());
}

}  // namespace crossfade
