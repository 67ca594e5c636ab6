// Requests written anew: the other template's, with the values of the fields that are mapped.
#include "protocols/redis/rendering.h"

#include <doctest/doctest.h>

namespace crossfade::redis {
namespace {

std::string rendered(const char* from, const char* to, const Rendering::Fields& fields,
                     const std::string& request) {
  const Rendering rendering(read_template(from).value(), read_template(to).value(), fields);
  RequestCutter cutter;
  REQUIRE(std::holds_alternative<Request>(cutter.advance(request)));
  std::vector<std::string_view> values;
  std::string out = "what was there before";
  rendering.render(cutter, request, values, out);
  return out;
}

TEST_CASE("rendering: values of the former fields stand where the other template has its own") {
  CHECK(rendered("SET user:{{id}} {{value}}", "HSET users:v2 {{key}}:name {{to}}",
                 {{"key", "id"}, {"to", "value"}},
                 "*3\r\n$3\r\nset\r\n$6\r\nuser:7\r\n$4\r\na\r\nb\r\n") ==
        "*4\r\n$4\r\nhset\r\n$8\r\nusers:v2\r\n$6\r\n7:name\r\n$4\r\na\r\nb\r\n");
}

TEST_CASE("rendering: an inline request, a field used twice, and one that has no value") {
  CHECK(rendered("GET {{a}}:{{b}}", "GETEX {{x}}-{{none}}-{{y}} EX {{x}}", {{"x", "b"}, {"y", "a"}},
                 "GET one:22\r\n") ==
        "*4\r\n$5\r\ngetex\r\n$7\r\n22--one\r\n$2\r\nEX\r\n$2\r\n22\r\n");
  CHECK(rendered("GET {{a}}", "GET {{none}}", {}, "GET one\r\n") ==
        "*2\r\n$3\r\nget\r\n$0\r\n\r\n");
}

}  // namespace
}  // namespace crossfade::redis
