// Users of an interlay: what is read, shown and kept, and for which kind.
#include "control/definitions/user.h"

#include <doctest/doctest.h>

#include <string>

#include "control/definitions/interlay.h"
#include "control/json/write.h"
#include "reading.h"

namespace crossfade {

namespace {

// As it is shown, or what is wrong.
std::string user(const std::string& text) {
  auto spec = read_interlay(
      json(R"({"id":"i","endpoint":"e","port":1,"settings":{"pipeline_max":5,"user":)" + text +
           "}}"),
      "");
  if (!spec) return spec.error().reason;
  return spec->user ? to_text(render(*spec->user)) : "none";
}

}  // namespace

TEST_CASE("user: each source is read and shown as given, and what is wrong has its path") {
  for (const char* text :
       {R"({"from":"login"})", R"({"from":"key"})",
        R"({"from":"key","pattern":"user:{{user}}:{{rest}}"})",
        R"({"from":"field","name":"user_id"})", R"({"from":"comment","name":"user"})"}) {
    CAPTURE(text);
    CHECK(user(text) == text);
  }
  CHECK(user("null") == "none");
  CHECK(user(R"("login")") == "settings.user: must be an object, is a string");
  CHECK(user("{}") == "settings.user.from: is required");
  CHECK(user(R"({"from":"ip"})") == "settings.user.from: must be login, key, field or comment");
  CHECK(user(R"({"from":"field"})") == "settings.user.name: is required");
  CHECK(user(R"({"from":"comment","name":"a b"})") ==
        "settings.user.name: must be 1 to 64 letters, digits, '_', '-' or '.'");
  CHECK(user(R"({"from":"login","name":"a"})") == "settings.user.name: is not a known field");
  CHECK(user(R"({"from":"field","name":"a","pattern":"{{user}}"})") ==
        "settings.user.pattern: is not a known field");
  CHECK(user(R"({"from":"key","pattern":"user:{{id}}"})") ==
        "settings.user.pattern: must have the field {{user}}, as \"user:{{user}}:{{rest}}\"");
  CHECK(user(R"({"from":"key","pattern":"{{user}}{{rest}}"})") ==
        "settings.user.pattern: has two fields without anything between them: where one ends is "
        "not told");
  CHECK(user(R"({"from":"key","pattern":"{{user}}:{{user}}"})") ==
        "settings.user.pattern: has field 'user' twice in one argument");
  CHECK(user(R"({"from":"key","pattern":"{{user"})") ==
        "settings.user.pattern: has \"{{\" without \"}}\"");
}

TEST_CASE("user: a PATCH gives all of it, null takes it away, and the store keeps it") {
  InterlaySpec spec{.id = "i", .endpoint = "e", .port = 1};
  spec.user = UserSource{.from = UserFrom::Key, .pattern = "u:{{user}}"};
  CHECK(*patch_interlay(spec, json(R"({"settings":{"pipeline_max":5}})"))->user == *spec.user);
  CHECK(*patch_interlay(spec, json(R"({"settings":{"user":{"from":"key"}}})"))->user ==
        UserSource{.from = UserFrom::Key});
  CHECK_FALSE(patch_interlay(spec, json(R"({"settings":{"user":null}})"))->user.has_value());
  InterlayDefinition interlay{.identity = make_identity("i", Origin::File),
                              .endpoint = make_uuid(),
                              .port = 7001,
                              .bind = "0.0.0.0",
                              .settings = {},
                              .user = spec.user,
                              .sql = {},
                              .description = {}};
  auto restored = interlay_from_stored(json(to_text(to_stored(interlay))));
  REQUIRE(restored.ok());
  CHECK(spec_of(*restored) == spec_of(interlay));
  CHECK(restored->user == spec.user);
}

TEST_CASE("user: keys are of Redis, comments of SQL") {
  const auto fits = [](EndpointKind kind, UserFrom from) {
    return !user_objection(kind, UserSource{.from = from});
  };
  for (const UserFrom from : {UserFrom::Login, UserFrom::Key, UserFrom::Field}) {
    CHECK(fits(EndpointKind::Redis, from));
  }
  CHECK_FALSE(fits(EndpointKind::Redis, UserFrom::Comment));
  for (const UserFrom from : {UserFrom::Login, UserFrom::Field, UserFrom::Comment}) {
    CHECK(fits(EndpointKind::Postgres, from));
  }
  CHECK_FALSE(fits(EndpointKind::Postgres, UserFrom::Key));
  CHECK_FALSE(user_objection(EndpointKind::Postgres, std::nullopt));
  CHECK(user_of(EndpointKind::Redis, {}).from == UserFrom::Key);
  CHECK(user_of(EndpointKind::Postgres, {}).from == UserFrom::Login);
  CHECK(user_of(EndpointKind::Redis, UserSource{}).from == UserFrom::Login);
}

}  // namespace crossfade
