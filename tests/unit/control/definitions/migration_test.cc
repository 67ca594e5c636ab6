// Migrations: the shapes of their members, and the store's way there and back.
#include "control/definitions/migration.h"

#include <doctest/doctest.h>

#include <string>

#include "control/json/write.h"
#include "reading.h"

namespace crossfade {

TEST_CASE("migration: null, words and objects for data and failure handling") {
  const auto read = [](const std::string& members) {
    auto spec = read_migration(json(R"({"id":"m",)" + members + "}"));
    if (!spec) return spec.error().reason;
    return to_text(render(spec->data)) + " " + to_text(render(spec->failure_handling));
  };
  CHECK(read(R"("data":null,"failure_handling":null)") == R"("none" "rollback_all")");
  CHECK(read(R"("data":"none","failure_handling":"allow_partial")") == R"("none" "allow_partial")");
  CHECK(read(R"("data":{"type":"snapshot","replace":"none"})") ==
        R"({"type":"snapshot","replace":"none"} "rollback_all")");
  CHECK(read(R"("data":{"type":"scan","replace":"merge"})") ==
        R"({"type":"scan","replace":"merge"} "rollback_all")");
  CHECK(read(R"("failure_handling":{"type":"retry_then_all","retry_count":3})") ==
        R"("none" {"type":"retry_then_all","retry_count":3})");
  CHECK(read(R"("data":{"type":"copy"})") == "data.type: must be none, snapshot or scan");
  CHECK(read(R"("data":{"type":"scan","replace":"all"})") ==
        "data.replace: must be none, replace or merge");
  CHECK(read(R"("data":"scan")") == "data: must be null, \"none\" or an object with a type");
  CHECK(read(R"("failure_handling":"give_up")") ==
        "failure_handling: must be rollback_all, retry_then_all or allow_partial");
  CHECK(read(R"("failure_handling":{"type":"rollback_all","retry_count":3})") ==
        "failure_handling.retry_count: belongs to retry_then_all only");
  CHECK(read(R"("description":7)") == "description: must be a string, is a number");
}

TEST_CASE("migration: guardrails have safe defaults, and complaints name their place") {
  const auto read = [](const std::string& rails) {
    auto spec = read_migration(json(R"({"id":"m","guardrails":)" + rails + "}"));
    return spec.ok() ? to_text(render(spec->guardrails)) : spec.error().reason;
  };
  CHECK(read("null") == "null");
  CHECK(read("{}") == R"({"window_s":60,"min_requests":100,"error_rate":null,"p99_ratio":null,)"
                      R"("mismatch_rate":null,"new_side_down_s":60,"action":"rollback"})");
  const std::string all = R"({"window_s":2,"min_requests":5,"error_rate":0.05,"p99_ratio":1.5,)"
                          R"("mismatch_rate":0.0,"new_side_down_s":null,"action":"pause"})";
  CHECK(read(all) == all);
  CHECK(read("7") == "guardrails: must be an object, is a number");
  CHECK(read(R"({"window_s":0})") == "guardrails.window_s: must be a whole number from 1 to 86400");
  CHECK(read(R"({"error_rate":2})") == "guardrails.error_rate: must be a number from 0 to 1");
  CHECK(read(R"({"p99_ratio":0.5})") == "guardrails.p99_ratio: must be a number from 1 to 1000");
  CHECK(read(R"({"p99_ratio":"2"})") == "guardrails.p99_ratio: must be a number from 1 to 1000");
  CHECK(read(R"({"action":"panic"})") == "guardrails.action: must be rollback or pause");
  CHECK(read(R"({"errors":1})") == "guardrails.errors: is not a known field");
}

TEST_CASE("migration: it comes back from the store as it went in") {
  Migration migration;
  migration.identity = make_identity("m", Origin::Api);
  migration.spec = *read_migration(json(
      R"({"id":"m","description":"d","strategy":{"type":"canary","read_percentage":0.07},
          "data":{"type":"scan","replace":"replace"},
          "failure_handling":{"type":"retry_then_all","retry_count":9},
          "guardrails":{"p99_ratio":2.5,"new_side_down_s":null}})"));
  migration.bindings = {{make_uuid(), make_uuid()}, {make_uuid(), make_uuid(), true}};
  for (const MigrationStatus status : kMigrationStatuses) {
    migration.status = status;
    auto restored = migration_from_stored(json(to_text(to_stored(migration))));
    REQUIRE(restored.ok());
    CHECK(restored->identity == migration.identity);
    CHECK(restored->spec == migration.spec);
    CHECK(restored->status == status);
    CHECK(restored->bindings == migration.bindings);
  }
}

TEST_CASE("time_window: executed is the sidecar's to say") {
  const std::string window =
      R"("window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z")";
  const auto created = [&](const char* executed) {
    return refusal(read_migration(json(R"({"id":"m","strategy":{"type":"time_window",)" + window +
                                       R"(,"executed":)" + executed + "}}")));
  };
  CHECK(created("false") == "accepted");
  CHECK(created("true").find("strategy.executed: becomes true when the sidecar") == 0);
  for (const bool now : {false, true}) {
    MigrationSpec spec;
    spec.strategy = TimeWindowSpec{1, 2, now};
    const auto patched_to = [&](const std::string& strategy) {
      return refusal(patch_migration(spec, json(R"({"strategy":)" + strategy + "}")));
    };
    const std::string same = now ? "true" : "false";
    const std::string other = now ? "false" : "true";
    CHECK(patched_to(R"({"executed":)" + same + "}") == "accepted");
    CHECK(patched_to(R"({"executed":)" + other + "}").find("strategy.executed: becomes") == 0);
    CHECK(patched_to(R"({"type":"blue_green"})") == "accepted");
  }
}

}  // namespace crossfade
