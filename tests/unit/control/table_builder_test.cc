// Tables: for every status of a migration, where its interlay's traffic goes.
#include "control/table_builder.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "strategies/api_keys.h"
#include "strategies/api_set.h"
#include "strategies/sql_api_set.h"
#include "tests/unit/work.h"

namespace crossfade {

namespace {

struct Scene {
  State state;
  std::string interlay;

  explicit Scene(MigrationStatus status, EndpointKind kind = EndpointKind::Redis) {
    Endpoint one{.identity = make_identity("old", Origin::Api), .address = {}, .description = {}};
    one.address.kind = kind;
    one.address.id = "old";
    one.address.host = "a";
    Endpoint other = one;
    other.identity = make_identity("new", Origin::Api);
    other.address.id = "new";
    other.address.host = "b";
    InterlayDefinition cache{.identity = make_identity("cache", Origin::Api),
                             .endpoint = one.identity.uuid,
                             .port = 1,
                             .bind = "127.0.0.1",
                             .settings = {{"clients_max", 3}},
                             .sql = {},
                             .description = {},
                             .running = true};
    interlay = cache.identity.uuid;
    Migration migration;
    migration.identity = make_identity("m", Origin::Api);
    migration.spec.strategy = CanarySpec{.read_percentage = 0.5};
    migration.status = status;
    migration.bindings = {{interlay, other.identity.uuid}};
    put(state.endpoints, one);
    put(state.endpoints, other);
    put(state.interlays, cache);
    put(state.migrations, migration);
  }

  // Each is asked behind those before.
  ApiDefinition add_api(const std::string& id, const std::vector<std::string>& queries,
                        const std::string& endpoint) {
    ApiDefinition api{
        .identity = make_identity(id, Origin::Api), .spec = {}, .order = state.apis.size() + 1};
    for (const std::string& query : queries) {
      TemplateDefinition one{
          .identity = make_identity(query, Origin::Api), .spec = {}, .meaning = {}};
      one.spec.query = query;
      one.spec.endpoint = endpoint;
      api.spec.bindings.push_back({one.identity.uuid, {}});
      put(state.templates, one);
    }
    put(state.apis, api);
    return api;
  }

  Table build(const Table* previous = nullptr, const Self& self = {}) const {
    InterlaySettings defaults;
    defaults.pipeline_max = 77;
    return build_table(
        state, 9, defaults, self,
        {.commands_of = [](const Endpoint&) { return redis::CommandTable::built_in(); },
         .catalog_of = [](const InterlayDefinition&, const Endpoint&) -> CatalogOfDatabase {
           return {};
         }},
        previous);
  }
};

}  // namespace

TEST_CASE("table: a strategy is in force exactly in the statuses that route") {
  for (const MigrationStatus status : kMigrationStatuses) {
    CAPTURE(name_of(status));
    const Table table = Scene(status).build();
    REQUIRE(table.interlays.size() == 1);
    const InterlayRoute& route = *table.interlays.front();
    CHECK(table.epoch == 9);
    CHECK(route.id == "cache");
    CHECK(route.old_side.host == "a");
    CHECK(route.strategy.has_value() == routes(status));
    CHECK(route.new_side.has_value() == route.strategy.has_value());
    CHECK(route.migration == (routes(status) ? "m" : ""));
    CHECK(route.commands != nullptr);
    CHECK(route.settings.clients_max == 3);
    CHECK(route.settings.pipeline_max == 77);
    if (route.new_side) CHECK(route.new_side->host == "b");
  }
}

TEST_CASE("table: a completed rolling update is on new, whatever the sidecar is called now") {
  for (const auto status : {MigrationStatus::Running, MigrationStatus::Completed}) {
    Scene scene(status);
    Migration migration = *scene.state.migrations.begin()->second;
    migration.spec.strategy = RollingUpdateSpec{{"a"}, 1};
    put(scene.state.migrations, migration);
    const auto strategy_at = [&](const char* instance) {
      return std::get<RollingUpdate>(
          *scene.build(nullptr, {.instance = instance}).interlays.front()->strategy);
    };
    CHECK(strategy_at("a").here_migrated);
    CHECK(strategy_at("b").here_migrated == (status == MigrationStatus::Completed));
  }
}

TEST_CASE(
    "table: clients whose networks say otherwise than the sidecar's region have a route apart") {
  Scene scene(MigrationStatus::Running);
  Migration migration = *scene.state.migrations.begin()->second;
  migration.spec.strategy = GeographicSpec{{{"eu", true}, {"us", false}}};
  put(scene.state.migrations, migration);
  InterlayDefinition interlay = *scene.state.interlays.at(scene.interlay);
  interlay.regions = {{"eu", {{.prefix = 8}}}, {"us", {{.prefix = 16}}}};
  const Table without = scene.build(nullptr, {.region = "eu"});
  CHECK(without.interlays.front()->elsewhere == nullptr);
  put(scene.state.interlays, interlay);
  for (const char* region : {"eu", "us", ""}) {
    CAPTURE(region);
    const bool gone = std::string(region) == "eu";
    const Table table = scene.build(nullptr, {.region = region});
    const InterlayRoute& route = *table.interlays.front();
    REQUIRE(route.elsewhere != nullptr);
    CHECK(route.networks.size() == 2);
    CHECK(std::get<Geographic>(*route.strategy).region_migrated == gone);
    CHECK(std::get<Geographic>(*route.elsewhere->strategy).region_migrated != gone);
    CHECK(route.elsewhere->new_side == route.new_side);
    CHECK(same_routes(table, scene.build(&table, {.region = region})));
  }
  const Table before = scene.build(nullptr, {.region = "eu"});
  interlay.regions["us"] = {{.prefix = 24}};
  put(scene.state.interlays, interlay);
  CHECK_FALSE(same_routes(before, scene.build(&before, {.region = "eu"})));
  migration.status = MigrationStatus::Completed;
  put(scene.state.migrations, migration);
  const Table after = scene.build(nullptr, {.region = "nowhere"});
  CHECK(std::get<Geographic>(*after.interlays.front()->strategy).region_migrated);
  CHECK(after.interlays.front()->elsewhere == nullptr);
}

TEST_CASE("table: equal routes are shared with the table before, changed ones are not") {
  Scene scene(MigrationStatus::Running);
  const Table first = scene.build();
  const Table second = scene.build(&first);
  CHECK(same_routes(first, second));
  CHECK(first.interlays.front() == second.interlays.front());
  Migration migration = *scene.state.migrations.begin()->second;
  migration.spec.strategy = CanarySpec{.read_percentage = 0.6};
  put(scene.state.migrations, migration);
  CHECK_FALSE(same_routes(second, scene.build(&second)));
}

// Tables are made again whenever servers have been asked, once a second or so.
TEST_CASE("table: what an api of many templates costs grows with their number") {
  const auto seconds = [](std::size_t templates) {
    Scene scene(MigrationStatus::Running);
    std::vector<std::string> queries;
    for (std::size_t i = 0; i < templates; ++i) {
      queries.push_back("GET k" + std::to_string(i) + ":{{x}}");
    }
    const ApiDefinition api =
        scene.add_api("a", queries, scene.state.interlays.at(scene.interlay)->endpoint);
    Migration migration = *scene.state.migrations.begin()->second;
    migration.spec.strategy = CanarySpec{
        .read_percentage = 0.5, .write_mode = WriteModeSpec{.mode = WriteMode::Mode::DualWrite}};
    migration.apis = {{api.identity.uuid, api.spec.bindings}};
    put(scene.state.migrations, migration);
    const Table table = scene.build();
    double least = 1;
    for (int i = 0; i < 5; ++i) {
      least = std::min(least, seconds_for([&] { CHECK(same_routes(table, scene.build(&table))); }));
    }
    return least;
  };
  CHECK(seconds(1600) < 4 * 4 * seconds(400));
}

ApiSet::Entry entry(const std::string& api, const std::string& query, bool moves) {
  return {.query = query, .moves = moves, .api = api};
}

TEST_CASE(
    "table: a migration of apis has all templates up to the last that moves, in their order") {
  Scene scene(MigrationStatus::Running);
  const std::string old = scene.state.interlays.at(scene.interlay)->endpoint;
  const ApiDefinition first = scene.add_api("z", {"GET a:{{x}}"}, old);
  const ApiDefinition part = scene.add_api("y", {"GET b:{{x}}", "GET c:{{x}}"}, old);
  scene.add_api("x", {"GET d:{{x}}"}, old);
  const ApiDefinition elsewhere = scene.add_api("w", {"GET e:{{x}}"}, "another endpoint");
  Migration migration = *scene.state.migrations.begin()->second;
  CHECK(scene.build().interlays.front()->apis == nullptr);
  migration.apis = {{elsewhere.identity.uuid, elsewhere.spec.bindings}};
  put(scene.state.migrations, migration);
  CHECK(scene.build().interlays.front()->apis == nullptr);

  migration.apis.push_back({part.identity.uuid, {part.spec.bindings.front()}});
  const WriteModeSpec both{.mode = WriteMode::Mode::DualWrite};
  migration.spec.strategy = CanarySpec{.read_percentage = 0.5, .write_mode = both};
  put(scene.state.migrations, migration);
  using Entries = std::vector<ApiSet::Entry>;
  const Table table = scene.build();
  const std::shared_ptr<const ApiSet> apis = table.interlays.front()->apis;
  REQUIRE(apis != nullptr);
  CHECK(apis->entries() ==
        Entries{entry("z", "GET a:{{x}}", false), entry("y", "GET b:{{x}}", true)});

  // Made anew only where something of it has changed.
  CHECK(same_routes(table, scene.build(&table)));
  migration.spec.strategy = CanarySpec{.read_percentage = 0.6, .write_mode = both};
  put(scene.state.migrations, migration);
  const Table patched = scene.build(&table);
  CHECK_FALSE(same_routes(table, patched));
  CHECK(patched.interlays.front()->apis == apis);
  TemplateDefinition changed = *scene.state.templates.at(first.spec.bindings.front().template_ref);
  changed.spec.query = "GET b:{{y}}";
  put(scene.state.templates, changed);
  const Table later = scene.build(&patched);
  CHECK_FALSE(same_routes(patched, later));
  CHECK(later.interlays.front()->apis->entries().front() == entry("z", "GET b:{{y}}", false));

  // Where its writes move, its keys do.
  Migration moving = migration;
  moving.spec.strategy = BlueGreenSpec{.active_is_new = true};
  put(scene.state.migrations, moving);
  const Table moved = scene.build();
  CHECK(moved.interlays.front()->apis == nullptr);
  REQUIRE(moved.interlays.front()->api_keys != nullptr);
  CHECK(moved.interlays.front()->api_keys->entries() ==
        Entries{entry("z", "GET b:{{y}}", false), entry("y", "GET b:{{x}}", true)});
  CHECK(moved.interlays.front()->strategy ==
        Strategy(Canary{.read_share = kWhole, .write_mode = {}, .part = true}));
  CHECK(same_routes(moved, scene.build(&moved)));

  // For clients of other regions, too.
  moving.spec.strategy = GeographicSpec{{{"eu", true}, {"us", false}}};
  put(scene.state.migrations, moving);
  InterlayDefinition interlay = *scene.state.interlays.at(scene.interlay);
  interlay.regions = {{"us", {{.prefix = 16}}}};
  put(scene.state.interlays, interlay);
  const Table apart = scene.build(nullptr, {.region = "eu"});
  const InterlayRoute& here = *apart.interlays.front();
  REQUIRE(here.elsewhere != nullptr);
  CHECK(here.region_migrated);
  CHECK(std::get<Canary>(*here.strategy).read_share == kWhole);
  CHECK(std::get<Canary>(*here.elsewhere->strategy).read_share == 0);
  CHECK(here.elsewhere->api_keys != nullptr);

  // None of its templates moves: not the same as no api.
  migration.apis.back().bindings.clear();
  put(scene.state.migrations, migration);
  REQUIRE(scene.build().interlays.front()->apis != nullptr);
  CHECK(scene.build().interlays.front()->apis->entries().empty());
}

TEST_CASE("table: apis of PostgreSQL are known by their statements") {
  Scene scene(MigrationStatus::Running, EndpointKind::Postgres);
  const std::string old = scene.state.interlays.at(scene.interlay)->endpoint;
  const ApiDefinition part = scene.add_api("users", {"SELECT a FROM t WHERE b = {{b}}"}, old);
  Migration migration = *scene.state.migrations.begin()->second;
  CHECK(scene.build().interlays.front()->sql_apis == nullptr);
  migration.apis = {{part.identity.uuid, part.spec.bindings}};
  put(scene.state.migrations, migration);
  const Table table = scene.build();
  const InterlayRoute& route = *table.interlays.front();
  CHECK(route.apis == nullptr);
  REQUIRE(route.sql_apis != nullptr);
  CHECK(route.sql_apis->entries() ==
        std::vector<SqlApiSet::Entry>{entry("users", "SELECT a FROM t WHERE b = {{b}}", true)});
  CHECK(same_routes(table, scene.build(&table)));
  migration.spec.strategy = CanarySpec{.read_percentage = 0.6};
  put(scene.state.migrations, migration);
  CHECK(scene.build(&table).interlays.front()->sql_apis == route.sql_apis);
  migration.apis.front().bindings.clear();
  put(scene.state.migrations, migration);
  CHECK(scene.build(&table).interlays.front()->sql_apis->entries().empty());
}

TEST_CASE("table: a field of templates says the user where the strategy goes by users") {
  for (const EndpointKind kind : {EndpointKind::Redis, EndpointKind::Postgres}) {
    Scene scene(MigrationStatus::Running, kind);
    InterlayDefinition interlay = *scene.state.interlays.at(scene.interlay);
    const bool sql = kind == EndpointKind::Postgres;
    const std::string query = sql ? "SELECT a FROM t WHERE b = {{b}}" : "GET user:{{b}}";
    scene.add_api("users", {query}, interlay.endpoint);
    interlay.user = UserSource{.from = UserFrom::Field, .name = "b"};
    put(scene.state.interlays, interlay);
    const auto has = [](const Table& table) {
      const InterlayRoute& route = *table.interlays.front();
      return std::pair(route.user_fields != nullptr, route.sql_user_fields != nullptr);
    };
    CHECK(has(scene.build()) == std::pair(false, false));
    Migration migration = *scene.state.migrations.begin()->second;
    migration.spec.strategy = CanarySpec{.read_percentage = 0.5, .split_by = SplitBy::User};
    put(scene.state.migrations, migration);
    const Table table = scene.build();
    CHECK(has(table) == std::pair(!sql, sql));
    CHECK(table.interlays.front()->asks_forms() == sql);
    CHECK(same_routes(table, scene.build(&table)));
    scene.add_api("others", {query + (sql ? " LIMIT 1" : ":x")}, interlay.endpoint);
    CHECK_FALSE(same_routes(table, scene.build(&table)));
  }
}

TEST_CASE("table: of two migrations with one interlay the one that is not rolled back decides") {
  Scene scene(MigrationStatus::RolledBack);
  CHECK_FALSE(scene.build().interlays.front()->strategy.has_value());
  Migration later = *scene.state.migrations.begin()->second;
  later.identity = make_identity("later", Origin::Api);
  later.status = MigrationStatus::Running;
  later.spec.strategy = ShadowTrafficSpec{};
  put(scene.state.migrations, later);
  CHECK(scene.build().interlays.front()->migration == "later");
  CHECK(std::holds_alternative<ShadowTraffic>(*scene.build().interlays.front()->strategy));
}

}  // namespace crossfade
