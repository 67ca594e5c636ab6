// The document that describes the API names what there is, and nothing else.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>

#include "control/embedded.h"
#include "control/http/routes.h"
#include "control/json/parse.h"

namespace crossfade {

namespace {

const Json& document() {
  static const Json parsed = *parse_json(kOpenApiJson);
  return parsed;
}

// "{id}" and its like become "{}".
std::string route_path(std::string path) {
  for (std::size_t open = path.find('{'); open != path.npos; open = path.find('{', open + 1)) {
    path.erase(open + 1, path.find('}', open) - open - 1);
  }
  return path;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

void each_reference(const Json& value, const auto& visit) {
  if (const Json::Object* members = value.members()) {
    for (const auto& [name, member] : *members) {
      if (name == "$ref") visit(*member.string());
      each_reference(member, visit);
    }
  }
  if (const Json::Array* elements = value.elements()) {
    for (const Json& element : *elements) each_reference(element, visit);
  }
}

}  // namespace

TEST_CASE("the OpenAPI document: it has each route with its role, and no other") {
  std::map<std::string, std::string> documented;  // "GET /endpoints" -> "read"
  for (const auto& [path, operations] : *document().find("paths")->members()) {
    for (const auto& [method, operation] : *operations.members()) {
      documented[upper(method) + " " + route_path(path)] = *operation.find("x-role")->string();
    }
  }
  std::map<std::string, std::string> there;
  for (const Route& route : routes()) {
    there[std::string(route.method) + " " + route.path] = name_of(route.role);
  }
  CHECK(documented == there);
}

TEST_CASE("the OpenAPI document: whatever it refers to is in it") {
  each_reference(document(), [](const std::string& reference) {
    CAPTURE(reference);
    REQUIRE(reference.starts_with("#/"));
    const Json* at = &document();
    for (std::size_t from = 2; at != nullptr && from <= reference.size();) {
      const std::size_t slash = std::min(reference.find('/', from), reference.size());
      at = at->find(reference.substr(from, slash - from));
      from = slash + 1;
    }
    CHECK(at != nullptr);
  });
}

}  // namespace crossfade
