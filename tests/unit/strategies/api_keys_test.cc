// Which keys move with an api: those that its templates name first.
#include "strategies/api_keys.h"

#include <doctest/doctest.h>

#include "protocols/redis/facts.h"
#include "strategies/plan.h"

namespace crossfade {
namespace {

TEST_CASE("api keys: a key moves when the first template that names it does") {
  const ApiKeys keys(
      {{"GET user:{{id}}:secret", false},
       {"JSON.GET user:{{id}}", false},  // nobody knows which of its arguments is a key
       {"PING", false},
       {"SET user:{{id}} {{value}}", true},
       {"COPY cart:{{id}} basket:{{id}} REPLACE", true},
       {"GET {{any}}", false}});
  for (const char* key : {"user:7", "user:7:name", "cart:1", "basket:2"}) {
    CHECK(keys.bucket(key) == redis::key_bucket(key));
  }
  for (const char* key : {"user:7:secret", "order:1", "REPLACE", "user:", ""}) {
    CHECK(keys.bucket(key) == kBeyond);
  }
  CHECK(keys.bucket("user:{7}:a") == keys.bucket("cart:{7}"));
}

TEST_CASE("api keys: a key is of the api whose template names it first, moving or not") {
  const ApiKeys keys({{"PING", false, {}, {}, "health"},
                      {"GET user:{{id}}:secret", false, {}, {}, "secrets"},
                      {"SET user:{{id}} {{value}}", true, {}, {}, "users"}});
  const auto api_of = [&](std::string_view key) -> std::string {
    const auto api = keys.place_of(key).api;
    return api ? keys.names().names()[*api] : "";
  };
  CHECK(api_of("user:7") == "users");
  CHECK(api_of("user:7:secret") == "secrets");
  CHECK(api_of("order:7").empty());
}

}  // namespace
}  // namespace crossfade
