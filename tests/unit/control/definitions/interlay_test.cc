// Interlays: defaults, settings by name, and the store's way there and back.
#include "control/definitions/interlay.h"

#include <doctest/doctest.h>

#include <string>

#include "control/json/write.h"
#include "reading.h"

namespace crossfade {

TEST_CASE("interlay: defaults, overrides, and paths of what is wrong") {
  auto spec = read_interlay(json(R"({"id":"i","endpoint":"e","port":7001})"), "");
  REQUIRE(spec.ok());
  CHECK(spec->bind == "127.0.0.1");
  CHECK(overridden({}, spec->settings) == InterlaySettings{});
  spec = read_interlay(
      json(
          R"({"id":"i","endpoint":"e","port":0,"bind":"::","tls":null,"settings":{"pipeline_max":5}})"),
      "");
  REQUIRE(spec.ok());
  CHECK(overridden({}, spec->settings).pipeline_max == 5);
  const auto refused = [](const char* text) { return refusal(read_interlay(json(text), "")); };
  CHECK(refused(R"({"id":"i","endpoint":"e"})") == "port: is required");
  CHECK(refused(R"({"id":"i","port":1})") == "endpoint: is required");
  CHECK(refused(R"({"id":"i","endpoint":"e","port":65536})") ==
        "port: must be a whole number from 0 to 65535");
  CHECK(refused(R"({"id":"i","endpoint":"e","port":1,"bind":"localhost"})") ==
        "bind: must be a numeric address");
  CHECK(refused(R"({"id":"i","endpoint":"e","port":1,"settings":{"pipeline_max":0}})")
            .find("settings.pipeline_max: must be a whole number from 1 to") == 0);
  CHECK(refused(R"({"id":"i","endpoint":"e","port":1,"settings":{"pipelines":1}})") ==
        "settings.pipelines: is not a known field");
  CHECK(refused(R"({"id":"i","endpoint":"e","port":1,"tls":{"server_cert":"x"}})") ==
        "tls.server_key: is required with its certificate");
}

TEST_CASE("interlay: a PATCH merges settings one by one, null takes an override away") {
  InterlaySpec spec{.id = "i", .endpoint = "e", .port = 1};
  spec.settings = {{"pipeline_max", 5}, {"clients_max", 9}};
  auto changed =
      patch_interlay(spec, json(R"({"settings":{"pipeline_max":null,"reorder_max":65536}})"));
  REQUIRE(changed.ok());
  CHECK(changed->settings == SettingOverrides{{"clients_max", 9}, {"reorder_max", 65536}});
  CHECK(*patch_interlay(spec, json("{}")) == spec);
}

TEST_CASE("interlay: every setting can be given by its name and comes back from the store") {
  const Json shown = render(InterlaySettings{});
  for (const auto& member : *shown.members()) {
    CAPTURE(member.first);
    Json given = Json::object({});
    given.set(member.first, member.second);
    CHECK(read_interlay_settings(given, "settings", {}).ok());
  }
  InterlayDefinition interlay{.identity = make_identity("i", Origin::File),
                              .endpoint = make_uuid(),
                              .port = 7001,
                              .bind = "0.0.0.0",
                              .settings = {{"clients_max", 9}},
                              .sql = {.functions = {{"total", SqlAct::Read}}, .relations = {}},
                              .description = "d",
                              .running = false};
  auto restored = interlay_from_stored(json(to_text(to_stored(interlay))));
  REQUIRE(restored.ok());
  CHECK(restored->identity == interlay.identity);
  CHECK(spec_of(*restored) == spec_of(interlay));
  CHECK_FALSE(restored->running);
}

}  // namespace crossfade
