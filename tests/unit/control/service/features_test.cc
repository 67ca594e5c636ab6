// Features and flags of migrations: which requests the strategy has a say in, by the apis that they
// name, and what nothing starts.
#include "control/features.h"

#include "../bench.h"
#include "protocols/redis/key_user.h"
#include "strategies/api_set.h"

namespace crossfade {

namespace {

// Apis "users" (get, set) and "orders" (order) of endpoint "old"; "elsewhere" of endpoint "third",
// with interlay "apart" before it. Migration "m" of interlay "cache".
struct Featured : Bench {
  Featured() {
    add_sides();
    told.up[3] = ToldServers::healthy();
    add_endpoint("third", 3);
    add_interlay("apart", "third", 7002);
    add_template("get", "old", "GET user:{{id}}");
    add_template("set", "old", "SET user:{{id}} {{value}}");
    add_template("order", "old", "GET order:{{id}}");
    add_template("else", "third", "GET else:{{id}}");
    add_api("users", R"([{"template":"get"},{"template":"set"}])");
    add_api("orders", R"([{"template":"order"}])");
    add_api("elsewhere", R"([{"template":"else"}])");
  }
  void attach(const std::string& api, const std::string& templates) {
    must(life->migrations.add_api("m", api, json(R"({"bindings":)" + templates + "}"), call));
  }
  // Of "users", and of "orders", those that move: "GET user:{{id}}", …
  std::vector<std::string> moving() {
    std::vector<std::string> queries;
    const auto& apis = plane.route("cache").apis;
    if (apis == nullptr) {  // nothing does
      CHECK(std::get<Canary>(*plane.route("cache").strategy).read_share == 0);
      return queries;
    }
    for (const ApiSet::Entry& entry : apis->entries()) {
      if (entry.moves) queries.push_back(entry.query);
    }
    return queries;
  }
  std::string migrate() { return said(life->conductor.migrate("m", call)); }
  std::string detail_of(const std::string& name) {
    const Json test = must(life->conductor.test("m")).data;
    for (const Json& check : *test.find("checks")->elements()) {
      if (text_of(check, "name") == name) return text_of(check, "detail");
    }
    return {};
  }
  std::string uuid_of(const std::string& api) {
    return text_of(must(life->apis.get(api)).data, "uuid");
  }
};

using Queries = std::vector<std::string>;
constexpr const char* kUsers = R"([{"template":"get"},{"template":"set"}])";
constexpr const char* kOrders = R"([{"template":"order"}])";
constexpr const char* kDualMode = R"("write_mode":{"mode":"dual_write"})";

std::string fig(const std::string& features) {
  return R"({"type":"strangler_fig","features":)" + features + "," + kDualMode + "}";
}
std::string flag(const std::string& flags, const char* share, const std::string& more = {}) {
  return R"({"type":"feature_flag","flags":)" + flags + R"(,"rollout_percentage":)" + share + more +
         "}";
}
std::string dual_flag(const std::string& flags, const char* share) {
  return flag(flags, share, std::string(",") + kDualMode);
}

}  // namespace

TEST_CASE("strangler_fig: the apis whose feature is true move, by id or uuid, and no others") {
  Featured bench;
  bench.add_ready("m", fig(R"({"users":true,"orders":false,"reporting":true})"));
  bench.attach("users", kUsers);
  bench.attach("orders", kOrders);
  CHECK(bench.detail_of("strategy") ==
        "strangler_fig: 2 of 3 features are true; of the migration's apis 'orders' stay(s) on old; "
        "no api of the migration is named 'reporting', which move(s) nothing");
  CHECK(bench.detail_of("apis") ==
        "what matches one of 2 template(s) of 1 api(s) goes by the strategy; all else is answered "
        "by old");
  CHECK(bench.migrate() == "200");
  CHECK(bench.moving() == Queries{"GET user:{{id}}", "SET user:{{id}} {{value}}"});
  must(bench.patch_strategy("m", fig(R"({"users":false,"orders":true})")));
  CHECK(bench.moving() == Queries{"GET order:{{id}}"});
  must(bench.patch_strategy("m", fig("{\"" + bench.uuid_of("users") + "\":true}")));
  CHECK(bench.moving() == Queries{"GET user:{{id}}", "SET user:{{id}} {{value}}"});
  must(bench.patch_strategy("m", fig("{\"" + bench.uuid_of("users") + "\":true,\"users\":false}")));
  CHECK(bench.moving() == Queries{});
  must(bench.patch_strategy("m", fig("{}")));
  CHECK(bench.moving() == Queries{});
  must(bench.patch_strategy("m", fig(R"({"users":true,"orders":true})")));
  CHECK(bench.moving().size() == 3);
  bench.restart();
  CHECK(bench.moving().size() == 3);
  CHECK(said(bench.life->conductor.complete("m", bench.call)).starts_with("409"));
  must(bench.life->conductor.rollback("m", bench.call));
  CHECK_FALSE(bench.plane.route("cache").strategy.has_value());
}

TEST_CASE("strangler_fig: without an api of each interlay nothing starts it") {
  Featured bench;
  bench.add_ready("m", fig(R"({"users":true})"));
  for (const bool force : {false, true}) {
    bench.call.force = force;
    CHECK(bench.migrate() ==
          "409 Migration error: the test of migration 'm' failed: apis: strangler_fig moves apis, "
          "and none is attached to the migration: attach those that its features name (POST "
          "…/migrations/{id}/api/{api})");
  }
  bench.call.force = false;
  CHECK(*must(bench.life->conductor.test("m")).data.find("valid") == Json(false));
  bench.attach("users", kUsers);
  must(
      bench.life->migrations.add_interlay("m", "apart", json(R"({"endpoint":"new"})"), bench.call));
  bench.call.force = true;
  CHECK(bench.migrate().find("interlay 'apart' has no api in this migration, and strangler_fig "
                             "would move nothing of it") != std::string::npos);
  bench.attach("elsewhere", R"([{"template":"else"}])");
  CHECK(bench.migrate() == "200");
  bench.call.force = false;
  // Its feature is not there.
  CHECK(std::get<Canary>(*bench.plane.route("apart").strategy).read_share == 0);
}

TEST_CASE("strangler_fig: no PATCH makes one of what has no apis, while it routes") {
  Featured bench;
  bench.add_running("m", kCanary);
  CHECK(said(bench.patch_strategy("m", fig(R"({"users":true})")))
            .starts_with("409 Migration error: strategy: strangler_fig moves apis"));
  CHECK(bench.plane.route("cache").apis == nullptr);
}

TEST_CASE("feature_flag: an enabled flag that names no api governs all traffic") {
  Featured bench;
  const std::string all = flag(R"({"new_database":true,"users":false})", "0.25");
  bench.add_ready("m", all);
  CHECK(bench.detail_of("strategy") ==
        "feature_flag: 1 of 2 flags are enabled, for a share of 0.25 of the users; no api of the "
        "migration is named 'new_database': it governs all traffic");
  bench.attach("users", kUsers);  // its flag is disabled, and governs nothing
  CHECK(bench.migrate() == "200");
  CHECK(bench.plane.route("cache").apis == nullptr);
  const auto share = [&] {
    return std::get<FeatureFlag>(*bench.plane.route("cache").strategy).rollout_share;
  };
  CHECK(share() == 250'000);
  CHECK(splits_writes(*bench.plane.route("cache").strategy));
  must(bench.patch_strategy("m", R"({"rollout_percentage":0.5})"));
  CHECK(share() == 500'000);
  CHECK(said(bench.life->conductor.complete("m", bench.call)).starts_with("409"));
  must(bench.patch_strategy("m", R"({"rollout_percentage":1.0})"));
  must(bench.life->conductor.complete("m", bench.call));
  bench.restart();
  CHECK(share() == kWhole);
  CHECK(bench.plane.route("cache").apis == nullptr);
}

TEST_CASE("feature_flag: enabled flags that name apis govern those, and nothing else") {
  Featured bench;
  bench.add_ready("m", dual_flag(R"({"users":true,"orders":false,"beta":false})", "0.25"));
  bench.attach("users", R"([{"template":"get"}])");
  bench.attach("orders", kOrders);
  bench.told.up[4] = ToldServers::healthy();
  bench.add_endpoint("fourth", 4);
  must(bench.life->migrations.add_interlay("m", "apart", json(R"({"endpoint":"fourth"})"),
                                           bench.call));
  CHECK(bench.detail_of("strategy") ==
        "feature_flag: 1 of 3 flags are enabled, for a share of 0.25 of the users; of the "
        "migration's apis 'orders' stay(s) on old");
  CHECK(bench.migrate() == "200");
  CHECK(bench.moving() == Queries{"GET user:{{id}}"});
  const auto share = [&](const char* interlay) {
    const auto* flag = std::get_if<FeatureFlag>(&*bench.plane.route(interlay).strategy);
    return flag == nullptr ? 0 : flag->rollout_share;
  };
  CHECK(share("cache") == 250'000);
  CHECK(share("apart") == 0);  // no flag governs it
  must(bench.patch_strategy("m", R"({"flags":{"users":false}})"));
  CHECK(share("cache") == 0);
  must(bench.patch_strategy("m", R"({"flags":{"all":true},"rollout_percentage":1.0})"));
  CHECK((share("cache") == kWhole && share("apart") == kWhole));
  CHECK(bench.plane.route("cache").apis == nullptr);
  must(bench.patch_strategy("m", R"({"flags":{"users":true,"orders":true}})"));
  CHECK(bench.moving() == Queries{"GET user:{{id}}", "GET order:{{id}}"});
  CHECK(said(bench.life->conductor.complete("m", bench.call)).starts_with("409"));
}

TEST_CASE("feature_flag: users are told as the interlay says, or by key") {
  Featured bench;
  bench.add_running("m", dual_flag(R"({"all":true})", "0.5"));
  const auto route = [&]() -> const InterlayRoute& { return bench.plane.route("cache"); };
  CHECK(split_by(*route().strategy) == SplitBy::Key);
  CHECK(route().user.from == UserFrom::Key);
  CHECK(route().key_user == nullptr);
  const auto set_user = [&](const std::string& user) {
    must(bench.life->interlays.patch("cache", json(R"({"settings":{"user":)" + user + "}}"),
                                     bench.call));
  };
  set_user(R"({"from":"login"})");
  CHECK(split_by(*route().strategy) == SplitBy::User);
  set_user(R"({"from":"key","pattern":"{{user}}:{{rest}}"})");
  CHECK(split_by(*route().strategy) == SplitBy::Key);
  REQUIRE(route().key_user != nullptr);
  CHECK(route().key_user->bucket("7:cart") == bucket_of("7"));
  // A canary that is split by key has nothing to do with users.
  must(bench.patch_strategy("m", kCanary));
  CHECK(route().key_user == nullptr);
  must(bench.patch_strategy("m", R"({"split_by":"user"})"));
  CHECK(split_by(*route().strategy) == SplitBy::Key);
  CHECK(route().key_user != nullptr);
  set_user("null");
  CHECK(split_by(*route().strategy) == SplitBy::User);
  CHECK(route().user.from == UserFrom::Login);
}

TEST_CASE("settings.user: what the endpoint's kind does not have is refused") {
  Featured bench;
  CHECK(said(bench.life->interlays.patch(
            "cache", json(R"({"settings":{"user":{"from":"comment","name":"user"}}})"),
            bench.call)) ==
        "400 Bad Request: settings.user: \"comment\" is of SQL: a Redis interlay tells users by "
        "login, key or field");
  must(bench.life->endpoints.create(
      json(R"({"id":"pg","kind":"postgres","config":{"host":"10.0.0.1","port":11}})"), bench.call));
  CHECK(
      said(bench.life->interlays.create(json(R"({"id":"p","endpoint":"pg","port":7005,)"
                                             R"("settings":{"user":{"from":"key"}}})"),
                                        bench.call)) ==
      "400 Bad Request: settings.user: PostgreSQL has no keys: its interlays tell users by login, "
      "field or comment");
}

TEST_CASE("settings.user: the test says how many templates have the field") {
  Featured bench;
  must(bench.life->interlays.patch(
      "cache", json(R"({"settings":{"user":{"from":"field","name":"id"}}})"), bench.call));
  bench.add_ready("m", dual_flag(R"({"x":true})", "0.5"));
  CHECK(bench.detail_of("users") ==
        "3 template(s) of its endpoint's apis have the field 'id' of settings.user; what matches "
        "none of them goes by its key");
  must(bench.patch_strategy("m", kCanary));
  CHECK(bench.detail_of("users").empty());
  must(bench.patch_strategy("m", R"({"split_by":"user"})"));
  CHECK_FALSE(bench.detail_of("users").empty());
}

TEST_CASE("feature_flag: users that were set since it ran last may not go with it any more") {
  Featured bench;
  bench.add_ready("m", R"({"type":"feature_flag","flags":{"x":true},"rollout_percentage":0.5})");
  must(bench.life->conductor.migrate("m", bench.call));
  must(bench.life->conductor.rollback("m", bench.call));
  must(bench.life->interlays.patch("cache", json(R"({"settings":{"user":{"from":"login"}}})"),
                                   bench.call));
  bench.call.force = true;
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .starts_with("409 Migration error: strategy.rollout_percentage: must be 0.0 or 1.0"));
}

TEST_CASE("feature_flag: interlays before one server tell its users alike") {
  Featured bench;
  bench.add_interlay("beside", "old", 7003);
  must(bench.life->interlays.patch(
      "beside", json(R"({"settings":{"user":{"from":"key","pattern":"user:{{user}}"}}})"),
      bench.call));
  bench.add_ready("m", R"({"type":"feature_flag","flags":{"x":true},"rollout_percentage":0.5})");
  const std::string refused = said(bench.life->migrations.add_interlay(
      "m", "beside", json(R"({"endpoint":"new"})"), bench.call));
  CHECK(refused.find("'cache' and 'beside' stand before one server") != std::string::npos);
  must(bench.life->interlays.patch(
      "cache", json(R"({"settings":{"user":{"from":"key","pattern":"user:{{user}}"}}})"),
      bench.call));
  CHECK(said(bench.life->migrations.add_interlay("m", "beside", json(R"({"endpoint":"new"})"),
                                                 bench.call)) == "200");
}

}  // namespace crossfade
