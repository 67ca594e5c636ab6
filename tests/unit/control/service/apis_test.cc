// Apis: they fit their templates, whichever of the two changes, and keep their order.
#include <algorithm>

#include "../bench.h"
#include "control/api_rules.h"

namespace crossfade {

namespace {

Answer create(Bench& bench, const std::string& members) {
  return bench.life->apis.create(json(R"({"id":"a",)" + members + "}"), bench.call);
}

// Templates "get" and "set" of endpoint "old", "other" of "new".
void add_templates(Bench& bench) {
  bench.add_sides();
  bench.add_template("get", "old", "GET user:{{id}}");
  bench.add_template("set", "old", "SET user:{{user}} {{value}}");
  bench.add_template("other", "new", "GET u:{{id}}");
}

std::vector<std::string> order_of(Bench& bench) {
  std::vector<std::string> ids;
  for (const ApiPtr& api : in_order(*bench.life->keeper.state())) ids.push_back(api->identity.id);
  return ids;
}

}  // namespace

TEST_CASE("apis: fields are those of the templates, under the names that they are mapped to") {
  Bench bench;
  add_templates(bench);
  const Reply created = must(create(bench, R"("bindings":[{"template":"get","fields":{}},
                {"template_id":"set","fields":[["user","id"]]}],"description":"d")"));
  CHECK(created.status == 201);
  CHECK(text_of(created.data, "endpoint") == "old");
  CHECK(text_of(created.data, "description") == "d");
  CHECK(text_of(created.data, "bindings") ==
        R"([{"template":"get","fields":{}},{"template":"set","fields":{"user":"id"}}])");
  CHECK(text_of(created.data, "fields") == R"([{"name":"id","type":"string","required":true},)"
                                           R"({"name":"value","type":"string","required":true}])");
  bench.restart();
  CHECK(must(bench.life->apis.get("a")).data == created.data);
  CHECK(must(bench.life->apis.list()).data.elements()->size() == 1);
}

TEST_CASE("apis: what is wrong is refused with its path") {
  Bench bench;
  add_templates(bench);
  const auto refused = [&](const std::string& members) {
    const std::string answer = said(create(bench, members));
    CHECK(answer.starts_with("400 Bad Request: "));
    return answer.substr(answer.find(": ") + 2);
  };
  CHECK(refused(R"("description":"d")") == "bindings: is required");
  CHECK(refused(R"("bindings":[])") == "bindings: must name at least one template");
  CHECK(refused(R"("bindings":{})") == "bindings: must be an array, is an object");
  CHECK(refused(R"("bindings":[{"fields":{}}])") == "bindings[0].template: is required");
  CHECK(refused(R"("bindings":[{"template":"get","template_id":"get"}])") ==
        "bindings[0].template: is given beside template_id: give one of them");
  CHECK(refused(R"("bindings":[{"template":"get"},{"template":"get"}])") ==
        "bindings[1].template: 'get' is bound twice");
  CHECK(refused(R"("bindings":[{"template":"get"},{"template":"other"}])") ==
        "bindings[1].template: 'other' is of another endpoint than 'get': an api has one");
  CHECK(refused(R"("bindings":[{"template":"get","fields":{"x":"id"}}])") ==
        "bindings[0].fields: 'x' is no field of template 'get'");
  CHECK(refused(R"("bindings":[{"template":"get","fields":{"id":7}}])") ==
        "bindings[0].fields: must map a field of the template to the name of a field of the api");
  CHECK(refused(R"("bindings":[{"template":"get","fields":[["id"]]}])") ==
        "bindings[0].fields[0]: must be a pair of names: of the template's field, of the api's");
  CHECK(refused(R"("bindings":[{"template":"get","fields":[["id","a"],["id","b"]]}])") ==
        "bindings[0].fields[1]: maps field 'id' twice");
  CHECK(refused(R"("fields":[{"name":"id"}],"bindings":[{"template":"set"}])") ==
        "bindings[0].fields: field 'user' of template 'set' is none of the api's: map it to one of "
        "them");
  CHECK(said(create(bench, R"("bindings":[{"template":"x"}])")) ==
        "404 Not found: Template 'x' does not exist");
  CHECK(bench.life->keeper.state()->apis.empty());
}

TEST_CASE("apis: a template may change as long as they fit it") {
  Bench bench;
  add_templates(bench);
  must(create(bench, R"("bindings":[{"template":"get","fields":{"id":"key"}}])"));
  const auto patch = [&](const std::string& body) {
    return said(bench.life->templates.patch("get", json(body), bench.call));
  };
  CHECK(patch(R"({"query":"GET u:{{id}}:{{part}}"})") == "200");
  CHECK(patch(R"({"query":"GET u:{{part}}"})") ==
        "409 Migration error: Api 'a' would not fit: bindings[0].fields: 'id' is no field of "
        "template 'get'");
  CHECK(text_of(must(bench.life->templates.get("get")).data, "query") == "GET u:{{id}}:{{part}}");
}

TEST_CASE("apis: PATCH replaces bindings as a whole, and If-Match is asked for") {
  Bench bench;
  add_templates(bench);
  const std::string etag = must(create(bench, R"("bindings":[{"template":"get"}])")).etag;
  const auto patch = [&](const std::string& body) {
    return bench.life->apis.patch("a", json(body), bench.call);
  };
  CHECK(said(patch(R"({"bindings":[{"template":"other"}]})")) == "200");
  CHECK(text_of(must(bench.life->apis.get("a")).data, "endpoint") == "new");
  CHECK(said(patch(R"({"bindings":[{"template":"nosuch"}]})")).starts_with("404"));
  CHECK(said(patch(R"({"bindings":[]})")).starts_with("400"));
  bench.call.if_match = etag;
  CHECK(said(patch("{}")).starts_with("412"));
  CHECK(said(bench.life->apis.remove("a", bench.call)).starts_with("412"));
}

TEST_CASE("apis: the one that was defined first is asked first, also after a restart") {
  Bench bench;
  add_templates(bench);
  for (const char* id : {"z", "m", "b"}) bench.add_api(id, R"([{"template":"get"}])");
  CHECK(order_of(bench) == std::vector<std::string>{"z", "m", "b"});
  must(bench.life->apis.patch("z", json(R"({"description":"d"})"), bench.call));
  bench.restart();
  CHECK(order_of(bench) == std::vector<std::string>{"z", "m", "b"});
  must(bench.life->apis.remove("b", bench.call));
  bench.add_api("a", R"([{"template":"get"}])");
  CHECK(order_of(bench) == std::vector<std::string>{"z", "m", "a"});
  CHECK(text_of(must(bench.life->apis.get("a")).data, "precedence") == "3");
}

}  // namespace crossfade
