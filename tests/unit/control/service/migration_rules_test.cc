// What a migration may be: kinds, strategies, and the words of each refusal.
#include "control/service/migration_rules.h"

#include <doctest/doctest.h>

#include "../bench.h"

namespace crossfade {

namespace {

std::string objection(EndpointKind kind, const char* strategy) {
  auto read = read_strategy(json(strategy), "strategy");
  REQUIRE_MESSAGE(read.ok(), strategy);
  const auto said = strategy_objection(kind, *read);
  return said ? said->substr(0, said->find(": ")) : std::string();
}

std::string for_postgres(const char* strategy) {
  return objection(EndpointKind::Postgres, strategy);
}
std::string for_redis(const char* strategy) { return objection(EndpointKind::Redis, strategy); }

constexpr const char* kStatement =
    R"({"type":"canary","read_percentage":0.3,"write_mode":{"mode":"dual_write","engine":"statement"}})";
constexpr const char* kNoEngine =
    R"({"type":"canary","read_percentage":0.3,"write_mode":{"mode":"dual_write"}})";

std::string cutover(const char* share) {
  return R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"cutover","write_percentage":)" +
         std::string(share) + "}}";
}

}  // namespace

TEST_CASE("rules: strategies that move everything at once are for both kinds") {
  for (const char* strategy :
       {R"({"type":"big_bang"})", R"({"type":"blue_green","active_is_new":true})",
        R"({"type":"shadow_traffic"})", R"({"type":"canary","read_percentage":0})",
        R"({"type":"canary","read_percentage":1})"}) {
    CAPTURE(strategy);
    CHECK(for_postgres(strategy).empty());
    CHECK(for_redis(strategy).empty());
  }
}

TEST_CASE("rules: one PostgreSQL database's history is not split, by write_mode or without it") {
  const char* follows = R"({"type":"canary","read_percentage":0.3})";
  CHECK(for_postgres(follows) == "strategy.write_mode");
  CHECK(for_redis(follows).empty());
  for (const char* share : {"0.000001", "0.5", "0.999999"}) {
    CHECK(for_postgres(cutover(share).c_str()) == "strategy.write_mode.write_percentage");
    CHECK(for_redis(cutover(share).c_str()).empty());
  }
  CHECK(for_postgres(cutover("0.0").c_str()).empty());
  CHECK(for_postgres(cutover("1.0").c_str()).empty());
}

TEST_CASE("rules: what shadow traffic leaves out is for PostgreSQL only") {
  for (const char* strategy : {R"({"type":"shadow_traffic","shadow_writes":false})",
                               R"({"type":"shadow_traffic","sample_percentage":0.5})"}) {
    CHECK(for_postgres(strategy).empty());
    CHECK(for_redis(strategy) == "strategy");
  }
  CHECK(for_redis(R"({"type":"shadow_traffic","shadow_writes":true})").empty());
}

TEST_CASE("rules: a write_mode is held to the same under every strategy") {
  const std::string half = R"("write_mode":{"mode":"cutover","write_percentage":0.5}})";
  const std::string plain = R"("write_mode":{"mode":"dual_write"}})";
  const std::string statement = R"("write_mode":{"mode":"dual_write","engine":"statement"}})";
  const std::string best =
      R"("write_mode":{"mode":"dual_write","engine":"statement","policy":"best_effort"}})";
  for (
      const std::string strategy :
      {R"({"type":"big_bang",)", R"({"type":"blue_green",)",
       R"({"type":"geographic","regions":{},)", R"({"type":"rolling_update","total_instances":2,)",
       R"({"type":"strangler_fig","features":{},)",
       R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z",)"}) {
    CAPTURE(strategy);
    CHECK(for_postgres((strategy + half).c_str()) == "strategy.write_mode.write_percentage");
    CHECK(for_postgres((strategy + plain).c_str()) == "strategy.write_mode.engine");
    CHECK(for_postgres((strategy + best).c_str()) == "strategy.write_mode.policy");
    CHECK(for_postgres((strategy + statement).c_str()).empty());
    CHECK(for_redis((strategy + half).c_str()).empty());
    CHECK(for_redis((strategy + plain).c_str()).empty());
    CHECK(for_redis((strategy + statement).c_str()) == "strategy.write_mode.engine");
  }
  const std::string shadow = R"({"type":"shadow_traffic",)" + plain;
  CHECK(for_redis(shadow.c_str()).empty());
  CHECK(for_postgres(shadow.c_str()) == "strategy.write_mode");
}

TEST_CASE("rules: what a canary may be split by hangs on its kind, and on its writes") {
  const auto canary = [](const std::string& split, const std::string& mode) {
    return R"({"type":"canary","read_percentage":0.5,"split_by":")" + split + R"(","write_mode":)" +
           mode + "}";
  };
  const std::string dual = R"({"mode":"dual_write"})";
  const std::string half = R"({"mode":"cutover","write_percentage":0.5})";
  const std::string none = R"({"mode":"cutover","write_percentage":0.0})";
  for (const char* split : {"user", "session", "request"}) {
    CAPTURE(split);
    CHECK(for_redis(canary(split, dual).c_str()).empty());
    CHECK(for_redis(canary(split, none).c_str()).empty());
    CHECK(for_redis(canary(split, half).c_str()) == "strategy.split_by");
    CHECK(for_redis(canary(split, "null").c_str()) == "strategy.split_by");
  }
  CHECK(for_redis(canary("key", half).c_str()).empty());
  for (const char* split : {"user", "session"})
    CHECK(for_postgres(canary(split, none).c_str()).empty());
  for (const char* split : {"key", "request"}) {
    CHECK(for_postgres(canary(split, none).c_str()) == "strategy.split_by");
  }
}

TEST_CASE("rules: whose writes a feature_flag may split hangs on who its users are") {
  const auto flag = [](const std::string& share, const std::string& mode) {
    return R"({"type":"feature_flag","flags":{"a":true},"rollout_percentage":)" + share +
           R"(,"write_mode":)" + mode + "}";
  };
  const std::string dual = R"({"mode":"dual_write"})";
  const std::string statement = R"({"mode":"dual_write","engine":"statement"})";
  const std::string half = R"({"mode":"cutover","write_percentage":0.5})";
  const std::string none = R"({"mode":"cutover","write_percentage":0.0})";
  for (const std::string& mode : {dual, half, none, std::string("null")}) {
    CAPTURE(mode);
    CHECK(for_redis(flag("0.5", mode).c_str()).empty());  // by key, without settings.user
    for (const UserFrom from : {UserFrom::Key, UserFrom::Login, UserFrom::Field}) {
      auto read = read_strategy(json(flag("0.5", mode)), "strategy");
      const bool splits = mode == half || mode == "null";
      const auto said = strategy_objection(EndpointKind::Redis, *read, UserSource{.from = from});
      CHECK(said.has_value() == (splits && from != UserFrom::Key));
      if (said) CHECK(said->starts_with("strategy.rollout_percentage: must be 0.0 or 1.0 where"));
    }
  }
  for (const char* share : {"0.0", "1.0"}) {
    auto read = read_strategy(json(flag(share, "null")), "strategy");
    CHECK_FALSE(strategy_objection(EndpointKind::Redis, *read, UserSource{}));
    CHECK(for_postgres(flag(share, "null").c_str()).empty());
  }
  CHECK(for_postgres(flag("0.5", "null").c_str()) == "strategy.write_mode");
  CHECK(for_postgres(flag("0.5", half).c_str()) == "strategy.write_mode.write_percentage");
  CHECK(for_postgres(flag("0.5", dual).c_str()) == "strategy.write_mode.engine");
  CHECK(for_postgres(flag("0.5", statement).c_str()).empty());
  CHECK(for_postgres(flag("0.5", none).c_str()).empty());
}

TEST_CASE("rules: whose writes are on new is not changed by settings.user") {
  Bench bench;
  bench.add_sides();
  const auto set_user = [&](const std::string& user) {
    return said(bench.life->interlays.patch("cache", json(R"({"settings":{"user":)" + user + "}}"),
                                            bench.call));
  };
  const char* login = R"({"from":"login"})";
  const char* pattern = R"({"from":"key","pattern":"user:{{user}}:{{rest}}"})";
  CHECK(set_user(pattern) == "200");
  bench.add_ready("m", R"({"type":"feature_flag","flags":{"a":true},"rollout_percentage":0.5})");
  CHECK(set_user(login).starts_with(
      "409 Migration error: settings.user: migration 'm' does not go with it: "
      "strategy.rollout_percentage: must be"));
  CHECK(set_user("null") == "200");
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(set_user(R"({"from":"key"})") == "200");  // as it was
  CHECK(set_user(pattern) ==
        "409 Migration error: settings.user: migration 'm' has the writes of some users on new "
        "alone: who they are can not be changed while it routes");
  must(bench.patch_strategy("m", R"({"write_mode":{"mode":"dual_write"}})"));
  CHECK(set_user(pattern) == "200");
  CHECK(bench.plane.route("cache").key_user != nullptr);
  CHECK(set_user(login) == "200");
  CHECK(bench.plane.route("cache").key_user == nullptr);
  CHECK(split_by(*bench.plane.route("cache").strategy) == SplitBy::User);
  CHECK(said(bench.patch_strategy("m", R"({"write_mode":null})"))
            .starts_with("400 Bad Request: strategy.rollout_percentage: must be"));
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK(set_user(pattern) == "200");
}

TEST_CASE("rules: a ramp of PostgreSQL splits reads, and so needs a write_mode") {
  const std::string ramp = R"("ramp":{"steps":[0.5,1.0],"hold_s":60}})";
  const std::string follows = R"({"type":"canary","read_percentage":0,)" + ramp;
  CHECK(for_postgres(follows.c_str()) == "strategy.write_mode");
  CHECK(for_redis(follows.c_str()).empty());
}

TEST_CASE("rules: dual writes of PostgreSQL name their engine, those of Redis have none") {
  CHECK(for_postgres(kNoEngine) == "strategy.write_mode.engine");
  CHECK(for_postgres(kStatement).empty());
  CHECK(for_redis(kNoEngine).empty());
  CHECK(for_redis(kStatement) == "strategy.write_mode.engine");
}

namespace {

// Endpoints pg-old and pg-new of kind postgres, interlay "app" before pg-old.
struct PostgresBench : Bench {
  PostgresBench() {
    for (const auto& [id, port] : {std::pair("pg-old", 11), std::pair("pg-new", 12)}) {
      must(life->endpoints.create(
          json(R"({"id":")" + std::string(id) +
               R"(","kind":"postgres","config":{"host":"10.0.0.2","port":)" + std::to_string(port) +
               R"(,"database":"app","username":"app"}})"),
          call));
    }
    add_interlay("app", "pg-old", 7002);
  }
  std::string bind_app(const std::string& id, const char* endpoint = "pg-new") {
    return said(life->migrations.add_interlay(
        id, "app", json(R"({"endpoint":")" + std::string(endpoint) + R"("})"), call));
  }
};

}  // namespace

TEST_CASE_FIXTURE(PostgresBench, "rules: sides of two kinds are refused, with both names") {
  add_endpoint("cache", 1);
  add_migration("m", R"({"type":"big_bang"})");
  CHECK(bind_app("m", "cache") ==
        "400 Bad Request: endpoint: 'cache' is of kind redis, and interlay 'app' stands before one "
        "of kind postgres: both sides must be of one kind");
  CHECK(bind_app("m") == "200");
}

TEST_CASE_FIXTURE(PostgresBench, "rules: a strategy is judged when its first interlay is added") {
  add_migration("m", kNoEngine);
  CHECK(bind_app("m").starts_with("400 Bad Request: strategy.write_mode.engine: is needed"));
  CHECK(status("m") == "pending");
  CHECK(said(patch_strategy("m", R"({"write_mode":{"engine":"statement"}})")) == "200");
  CHECK(bind_app("m") == "200");
}

TEST_CASE_FIXTURE(PostgresBench, "rules: a PATCH is judged as the whole strategy that it makes") {
  add_migration("m", kStatement);
  REQUIRE(bind_app("m") == "200");
  CHECK(said(patch_strategy("m", R"({"read_percentage":0.6})")) == "200");
  CHECK(said(patch_strategy("m", R"({"write_mode":{"policy":"new_authoritative"}})")) == "200");
  CHECK(said(patch_strategy("m", R"({"write_mode":{"engine":null}})"))
            .starts_with("400 Bad Request: strategy.write_mode.engine: is needed"));
  CHECK(said(patch_strategy("m", R"({"write_mode":null})"))
            .starts_with("400 Bad Request: strategy.write_mode: is needed"));
  CHECK(said(patch_strategy("m", R"({"write_mode":{"mode":"cutover","write_percentage":0.5}})"))
            .starts_with("400 Bad Request: strategy.write_mode.write_percentage: must be 0.0"));
  CHECK(
      text_of(must(life->migrations.get("m", call)).data, "strategy") ==
      R"({"type":"canary","read_percentage":0.6,"write_mode":{"mode":"dual_write","policy":"new_authoritative","engine":"statement"}})");
}

TEST_CASE_FIXTURE(PostgresBench,
                  "rules: what Redis does for dual writes is not done to PostgreSQL") {
  add_migration("m", kStatement);
  REQUIRE(bind_app("m") == "200");
  Call forced = call;
  forced.force = true;
  REQUIRE(said(life->conductor.migrate("m", forced)) == "200");
  CHECK(plane.route("app").strategy.has_value());
  CHECK(WatchedServers(life->keeper, life->ledger).all().empty());
  life->ledger.note("m", {{.at = {.db = 0, .key = "t"}}}, nullptr);
  CHECK(life->repairs.due(10).empty());
  CHECK(said(life->verifications.start("m", call)) ==
        "409 Migration error: Cannot verify migration 'm': this version verifies Redis only; "
        "compare the tables by other means");
}

}  // namespace crossfade
