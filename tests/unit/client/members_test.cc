// Words of a command line become bodies, or say why not.
#include "client/members.h"

#include <doctest/doctest.h>

#include <vector>

#include "control/json/write.h"

namespace crossfade {

namespace {

std::string body_of(const std::vector<std::string>& words) {
  Json body = Json::object({});
  const Status set = set_members(words, body);
  return set ? to_text(body) : set.error().message();
}

}  // namespace

TEST_CASE("words of a command line: each is a member of the body, text or JSON, at its path") {
  CHECK(body_of({}) == "{}");
  CHECK(body_of({"description=move the cache", "n:=5"}) ==
        R"({"description":"move the cache","n":5})");
  CHECK(body_of({"strategy.type=canary", "strategy.read_percentage:=0.05"}) ==
        R"({"strategy":{"type":"canary","read_percentage":0.05}})");
  CHECK(body_of({"config.url=redis://u:p=1@h:1/0"}) ==
        R"({"config":{"url":"redis://u:p=1@h:1/0"}})");
  CHECK(body_of({"a:=[1,{\"b\":null}]", "a:=true"}) == R"({"a":true})");
  CHECK(body_of({"empty="}) == R"({"empty":""})");
  CHECK(body_of({"port=6379"}) == R"({"port":"6379"})");  // text, as it was said
}

TEST_CASE("a word that is no member: the refusal names its path, never its value") {
  CHECK(body_of({"description"}) == "member 'description': expected NAME=TEXT or NAME:=JSON");
  CHECK(body_of({"=x"}) == "member '': has an empty name");
  CHECK(body_of({"a..b=x"}) == "member 'a..b': has an empty name");
  CHECK(body_of({"a.=x"}) == "member 'a.': has an empty name");
  CHECK(body_of({"a=x", "a.b=y"}) == "member 'a.b': 'a' is given as something else before it");
  const std::string bad = body_of({"config.password:=secret"});
  CHECK(bad.find("member 'config.password'") == 0);
  CHECK(bad.find("secret") == std::string::npos);
}

TEST_CASE("a word with an equals sign: it gives a member, and names no resource") {
  CHECK(gives_member("a=b"));
  CHECK(gives_member("a:=1"));
  CHECK_FALSE(gives_member("cache"));
}

}  // namespace crossfade
