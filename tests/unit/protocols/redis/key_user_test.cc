// Whose a key is: by a pattern, or as without one where it does not fit.
#include "protocols/redis/key_user.h"

#include <doctest/doctest.h>

#include <string>

#include "protocols/base/bucket.h"
#include "protocols/redis/facts.h"

namespace crossfade::redis {

namespace {

KeyUser pattern(std::string_view text) {
  auto read = KeyUser::read(text);
  REQUIRE(read);
  return *read;
}

}  // namespace

TEST_CASE("key user: a key that fits has the bucket of its user, whatever else it says") {
  const KeyUser of_user = pattern("user:{{user}}:{{rest}}");
  for (const char* key : {"user:42:cart", "user:42:a:b", "user:42:{x}", "user:42::"}) {
    CHECK(of_user.bucket(key) == bucket_of("42"));
  }
  CHECK(of_user.bucket("user:a{b}c:cart") == bucket_of("a{b}c"));
  CHECK(pattern("{{user}}").bucket("anything {at} all") == bucket_of("anything {at} all"));
  CHECK(pattern("{{app}}:{{user}}").bucket("shop:7:8") == bucket_of("7:8"));
  CHECK(pattern("cart-{{user}}-end").bucket("cart-7-end-end") == bucket_of("7-end"));
  CHECK(pattern("{{{user}}}:{{rest}}").bucket("{7}:x") == bucket_of("7"));
}

TEST_CASE("key user: a key that does not fit is where it is without a pattern") {
  const KeyUser of_user = pattern("user:{{user}}:{{rest}}");
  for (const char* key : {"", "user:", "user:42", "user:42:", "user::cart", "User:42:cart",
                          "xuser:42:cart", "order:{42}:x", "user:42{7}"}) {
    CAPTURE(key);
    CHECK(of_user.bucket(key) == key_bucket(key));
  }
  const KeyUser ends = pattern("{{user}}:u");
  CHECK(ends.bucket(":u") == key_bucket(":u"));
  CHECK(ends.bucket("7:u:") == key_bucket("7:u:"));
  CHECK(pattern("ab{{user}}ba").bucket("aba") == key_bucket("aba"));
}

TEST_CASE("key user: a pattern has one field that is the user, and none side by side") {
  CHECK(KeyUser::read("user:{{id}}").error().reason.starts_with("must have the field {{user}}"));
  CHECK(KeyUser::read("").error().reason.starts_with("must have the field {{user}}"));
  CHECK(KeyUser::read("{{a}}{{user}}")
            .error()
            .reason.starts_with("has two fields without anything between"));
  CHECK(KeyUser::read("{{a}}-{{user}}-{{a}}").error().reason ==
        "has field 'a' twice in one argument");
  CHECK(KeyUser::read("{{user}").error().reason == "has \"{{\" without \"}}\"");
}

}  // namespace crossfade::redis
