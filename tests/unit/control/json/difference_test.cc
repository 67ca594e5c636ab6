// What has changed is named, and no secret is told.
#include "control/json/difference.h"

#include <doctest/doctest.h>

#include "../json_literal.h"

namespace crossfade {

namespace {

// Of things without secrets.
std::string told(const std::string& before, const std::string& after) {
  return difference({json(before), json(before)}, {json(after), json(after)});
}

}  // namespace

TEST_CASE("difference: members are named with their values, before and after") {
  CHECK(told(R"({"a":1,"b":{"c":"x","d":[1]}})", R"({"a":1,"b":{"c":"x","d":[1]}})").empty());
  CHECK(told(R"({"a":1,"b":{"c":"x","d":[1]}})", R"({"a":2,"b":{"c":"y","d":[1,2]}})") ==
        R"(a from 1 to 2, b.c from "x" to "y", b.d from [1] to [1,2])");
  CHECK(told(R"({"a":1})", R"({"b":true})") == "a from 1 to null, b from null to true");
  CHECK(told(R"({"a":null})", R"({"a":{"b":1}})") == R"(a from null to {"b":1})");
  CHECK(told(R"({"a":null})", R"({"a":{}})") == "a from null to {}");
}

TEST_CASE("difference: names that are anybody's words are quoted") {
  CHECK(told("{}", R"({"a b\n":{"x.y":1}})") == R"("a b\n" from null to {"x.y":1})");
  CHECK(told(R"({"r":{"x.y":1}})", R"({"r":{"x.y":2}})") == R"(r."x.y" from 1 to 2)");
}

TEST_CASE("difference: long values are not told, but which member has them") {
  const std::string lengthy(kValueToldMax, 'x');
  CHECK(told(R"({"a":"y"})", R"({"a":")" + lengthy + "\"}") == "a changed");
  CHECK(told(R"({"a":null})", R"({"a":{"b":")" + lengthy + R"(","c":1}})") ==
        "a.b changed, a.c from null to 1");
}

TEST_CASE("difference: of a secret it says that it changed, and nothing of what it is") {
  const Form before{json(R"({"p":"one","q":"same","keys":[{"k":"a"}]})"),
                    json(R"({"p":"***","q":"***","keys":[{"k":"***"}]})")};
  const Form after{json(R"({"p":"two","q":"same","keys":[{"k":"b"}]})"),
                   json(R"({"p":"***","q":"***","keys":[{"k":"***"}]})")};
  CHECK(difference(before, after) == "p changed, keys changed");
  const Form none{json("{}"), json("{}")};
  CHECK(difference(none, after) == "p changed, q changed, keys changed");
  CHECK(difference(before, none) == "p changed, q changed, keys changed");
  const Form inner{json(R"({"t":{"key":"PEM","cert":"c"}})"),
                   json(R"({"t":{"key":"***","cert":"c"}})")};
  CHECK(difference({json(R"({"t":null})"), json(R"({"t":null})")}, inner) ==
        R"(t.key changed, t.cert from null to "c")");
}

TEST_CASE("difference: of very many members some are told, and how many are not") {
  std::string members;
  for (std::size_t i = 0; i < kToldMax + 5; ++i) {
    members += (i == 0 ? "\"m" : ",\"m") + std::to_string(i) + "\":1";
  }
  const std::string text = told(R"({"r":{"m":0}})", R"({"r":{)" + members + "}}");
  CHECK(text.find("r.m0 from null to 1") != std::string::npos);
  CHECK(text.ends_with(", and 6 more"));
}

}  // namespace crossfade
