// Reading members: whatever is wrong is named by its path, and nothing is read past it.
#include "control/json/fields.h"

#include <doctest/doctest.h>

#include <cmath>

#include "control/json/parse.h"

namespace crossfade {

namespace {

template <class Read>
std::string complaint(std::string_view text, Read&& read) {
  const Json json = parse_json(text).value();
  Fields fields(json, "strategy");
  read(fields);
  const auto error = fields.finish();
  return error ? error->reason : "none";
}

}  // namespace

TEST_CASE("fields: a member that nobody asked for is refused") {
  CHECK(complaint(R"({"a":1,"b":2})", [](Fields& f) { f.optional("a"); }) ==
        "strategy.b: is not a known field");
}

TEST_CASE("fields: the first complaint wins") {
  CHECK(complaint(R"({"x":1})", [](Fields& f) {
          f.required_string("name", 10);
          f.required_share("share");
        }) == "strategy.name: is required");
}

TEST_CASE("fields: a share of minus nothing is one of nothing") {
  CHECK(complaint(R"({"share":-0.0})", [](Fields& f) {
          CHECK_FALSE(std::signbit(f.required_share("share")));
        }) == "none");
}

TEST_CASE("fields: ill-typed members are named with what they must be and what they are") {
  const auto reading = [](Fields& f) {
    f.string("text", 3);
    f.boolean("flag");
    f.whole("count", 1, 5);
    f.share("share");
  };
  CHECK(complaint(R"({"text":1})", reading) == "strategy.text: must be a string, is a number");
  CHECK(complaint(R"({"text":"long"})", reading) == "strategy.text: is longer than 3 bytes");
  CHECK(complaint(R"({"flag":"true"})", reading) ==
        "strategy.flag: must be true or false, is a string");
  for (const char* count : {"0", "6", "-1", "2.5", "2.0", "\"2\"", "[]"}) {
    CAPTURE(count);
    CHECK(complaint(std::string(R"({"count":)") + count + "}", reading) ==
          "strategy.count: must be a whole number from 1 to 5");
  }
  for (const char* share : {"-0.001", "1.001", "2", "-1", "1e300"}) {
    CAPTURE(share);
    CHECK(complaint(std::string(R"({"share":)") + share + "}", reading) ==
          "strategy.share: must be a number from 0 to 1");
  }
  CHECK(complaint(R"({"share":"0.5"})", reading) ==
        "strategy.share: must be a number from 0 to 1, is a string");
  CHECK(complaint(R"({"share":0,"count":5,"text":"abc","flag":false})", reading) == "none");
  CHECK(complaint(R"({"share":1})", reading) == "none");
  CHECK(complaint(R"({"share":null,"count":null,"text":null,"flag":null})", reading) == "none");
}

TEST_CASE("fields: what is no object is the complaint, and a body without a path is called that") {
  CHECK(complaint("[1]", [](Fields& f) { f.required_string("a", 1); }) ==
        "strategy: must be an object, is an array");
  const Json json(3);
  Fields fields(json, "");
  CHECK(fields.finish()->reason == "the body: must be an object, is a number");
}

}  // namespace crossfade
