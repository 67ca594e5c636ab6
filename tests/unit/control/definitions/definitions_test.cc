// Resources: every shape the API takes, what is refused with which words, and the store's way there
// and back.
#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "control/definitions/endpoint.h"
#include "control/definitions/instant.h"
#include "control/definitions/interlay.h"
#include "control/definitions/migration.h"
#include "control/json/parse.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

Json json(std::string_view text) {
  auto parsed = parse_json(text);
  REQUIRE_MESSAGE(parsed.ok(), text);
  return *parsed;
}

template <class T>
std::string refusal(const Result<T>& result) {
  return result.ok() ? "accepted" : result.error().reason;
}

EndpointAddress address_of(std::string_view config) {
  auto spec =
      read_endpoint(json(R"({"id":"e","kind":"redis","config":)" + std::string(config) + "}"), "");
  REQUIRE_MESSAGE(spec.ok(), refusal(spec));
  return spec->address;
}

std::string config_refusal(std::string_view config) {
  return refusal(
      read_endpoint(json(R"({"id":"e","kind":"redis","config":)" + std::string(config) + "}"), ""));
}

std::string strategy_refusal(std::string_view strategy) {
  return refusal(read_strategy(json(strategy), "strategy"));
}

StrategySpec strategy(std::string_view text) {
  auto spec = read_strategy(json(text), "strategy");
  REQUIRE_MESSAGE(spec.ok(), text);
  return *spec;
}

std::string patched(std::string_view current, std::string_view given) {
  auto spec = patch_strategy(strategy(current), json(given), "strategy");
  return spec ? to_text(render(*spec)) : spec.error().reason;
}

}  // namespace

TEST_CASE("endpoint: the three shapes of config say the same") {
  const EndpointAddress expected{
      .id = "e", .host = "db", .port = 7000, .db = 2, .username = "u", .password = "p"};
  CHECK(address_of(R"({"url":"redis://u:p@db:7000/2"})") == expected);
  CHECK(address_of(R"({"host":"db","port":7000,"db":2,"username":"u","password":"p"})") ==
        expected);
  CHECK(
      address_of(
          R"({"host":"db","port":7000,"database":2,"username":"u","password":"p","tls":false})") ==
      expected);
  CHECK(address_of(R"({"write_conn":{"url":"redis://u:p@db:7000/2"}})") == expected);
  CHECK(
      address_of(
          R"({"write_conn":{"host":"db","port":7000,"db":2,"username":"u","password":"p","tls":null}})") ==
      expected);
}

TEST_CASE("endpoint: its id has two names, its kind any case") {
  CHECK(read_endpoint(json(R"({"endpoint":"e","kind":"Redis","config":{"host":"h"}})"), "")->id ==
        "e");
  CHECK(read_endpoint(json(R"({"id":"e","kind":"REDIS","config":{"host":"h"}})"), "")->id == "e");
  CHECK(refusal(read_endpoint(
            json(R"({"id":"e","endpoint":"e","kind":"redis","config":{"host":"h"}})"), "")) ==
        "endpoint: is given beside id: give one of them");
}

TEST_CASE("endpoint: what is wrong is named by its path, also inside of write_conn") {
  CHECK(config_refusal(R"({"port":1})") == "config.host: is required");
  CHECK(config_refusal(R"({"host":"h","port":"6379"})") ==
        "config.port: must be a whole number from 1 to 65535");
  CHECK(config_refusal(R"({"host":"h","port":0})") ==
        "config.port: must be a whole number from 1 to 65535");
  CHECK(config_refusal(R"({"write_conn":{"host":"h","prot":1}})") ==
        "config.write_conn.prot: is not a known field");
  CHECK(config_refusal(R"({"host":"h","username":"u"})") ==
        "config.password: is required with a username");
  CHECK(config_refusal(R"({"url":"redis://h","host":"h"})") == "config.host: is not a known field");
  CHECK(config_refusal(R"({"host":"a b"})") == "config.host: must be a host name or an address");
  CHECK(config_refusal(R"("redis://h")") == "config: must be an object, is a string");
  CHECK(refusal(read_endpoint(json(R"({"id":"e","kind":"redis"})"), "")) == "config: is required");
  CHECK(refusal(read_endpoint(json(R"({"kind":"redis","config":{}})"), "endpoints[3]")) ==
        "endpoints[3].id: is required");
}

TEST_CASE("endpoint: of kind postgres, in every shape, and kept as it is") {
  const auto address_of = [](const char* config) {
    auto spec = read_endpoint(
        json(std::string(R"({"id":"e","kind":"PostgreSQL","config":)") + config + "}"), "");
    REQUIRE(spec.ok());
    return spec->address;
  };
  const EndpointAddress from_url =
      address_of(R"({"url":"postgresql://u:p%40@h:7/d?sslmode=disable"})");
  CHECK(from_url ==
        address_of(
            R"({"host":"h","port":7,"database":"d","username":"u","password":"p@","tls":false})"));
  CHECK(from_url.kind == EndpointKind::Postgres);
  CHECK(address_of(R"({"url":"postgres://h"})").port == 5432);
  // libpq's default, said or not.
  const EndpointAddress silent = address_of(R"({"host":"h"})");
  CHECK(silent.tls.settings.mode == TlsMode::Prefer);
  CHECK(silent == address_of(R"({"url":"postgres://h?sslmode=prefer"})"));
  CHECK(silent == address_of(R"({"url":"postgres://h?sslmode=allow"})"));
  CHECK(silent == address_of(R"({"host":"h","tls":{"mode":"prefer"}})"));
  CHECK(address_of(R"({"url":"postgres://h?sslmode=verify-full&sslrootcert=%2Fca.pem"})") ==
        address_of(R"({"host":"h","tls":{"ca_cert":"/ca.pem"}})"));
  CHECK(address_of(R"({"host":"h","tls":true})").tls.settings.mode == TlsMode::VerifyFull);
  CHECK(address_of(R"({"url":"postgres://h","tls":true})").tls.settings.mode ==
        TlsMode::VerifyFull);
  CHECK(address_of(R"({"host":"h","username":"u"})").password.empty());
  const Endpoint endpoint{
      .identity = make_identity("e", Origin::Api), .address = from_url, .description = ""};
  auto restored = endpoint_from_stored(json(to_text(to_stored(endpoint))));
  REQUIRE(restored.ok());
  CHECK(restored->address == from_url);
  CHECK(to_text(render(endpoint)).find(R"("kind":"postgres")") != std::string::npos);
}

TEST_CASE("endpoint: what a postgres URL may not say is named") {
  const auto refused = [](const char* url) {
    return refusal(read_endpoint(
        json(std::string(R"({"id":"e","kind":"postgres","config":{"url":")") + url + R"("}})"),
        ""));
  };
  CHECK(refused("redis://h") == "config.url: must begin with postgresql://");
  CHECK(refused("postgresql://h,i") == "config.url: must name one host");
  CHECK(refused("postgresql://h?x=1") ==
        "config.url: has a parameter other than sslmode, sslrootcert, sslcert and sslkey");
  CHECK(refused("postgresql://h?sslmode=yes").starts_with("config.url: has an sslmode other than"));
  CHECK(refused("postgresql://h?sslcert=c") == "config.url: names one of sslcert and sslkey only");
  CHECK(refused("postgresql://u:%zz@h") == "config.url: has a broken percent-encoding");
}

TEST_CASE("endpoint: no error quotes a secret") {
  for (const char* config :
       {R"({"host":"h","password":"s3cret","port":0})", R"({"url":"redis://:s3cret@h:x"})",
        R"({"host":"h","password":["s3cret"]})", R"({"write_conn":{"url":"s3cret"}})"}) {
    CHECK(config_refusal(config).find("s3cret") == std::string::npos);
  }
}

TEST_CASE("endpoint: GET shows that there is a secret and not which, the store keeps it") {
  const Endpoint endpoint{
      .identity = make_identity("e", Origin::Api),
      .address = {.id = "e", .host = "h", .port = 1, .username = "u", .password = "s3cret"},
      .description = "d"};
  const std::string shown = to_text(render(endpoint));
  CHECK(shown.find("s3cret") == std::string::npos);
  CHECK(shown.find(R"("password":"***")") != std::string::npos);
  auto restored = endpoint_from_stored(json(to_text(to_stored(endpoint))));
  REQUIRE(restored.ok());
  CHECK(restored->identity == endpoint.identity);
  CHECK(restored->address == endpoint.address);
  CHECK(restored->description == "d");
}

TEST_CASE("endpoint: a PATCH changes what it names; a hidden secret given back stays the secret") {
  const EndpointSpec spec{
      .id = "e",
      .address =
          {.id = "e", .host = "h", .port = 1, .db = 3, .username = "u", .password = "s3cret"},
      .description = "d"};
  auto moved = patch_endpoint(spec, json(R"({"config":{"host":"h2","password":"***"}})"));
  REQUIRE(moved.ok());
  EndpointSpec expected = spec;
  expected.address.host = "h2";
  CHECK(*moved == expected);

  auto by_url = patch_endpoint(spec, json(R"({"config":{"url":"redis://u:***@h3:5"}})"));
  REQUIRE(by_url.ok());
  CHECK(by_url->address.password == "s3cret");
  CHECK(by_url->address.port == 5);
  CHECK(by_url->address.db == 0);  // a URL says everything

  CHECK(patch_endpoint(spec, json(R"({"config":{"username":null,"password":null}})"))
            ->address.password.empty());
  CHECK(patch_endpoint(spec, json(R"({"description":null})"))->description.empty());
  CHECK(*patch_endpoint(spec, json("{}")) == spec);
  CHECK(refusal(patch_endpoint(spec, json(R"({"id":"other"})"))) == "id: can not be changed");
}

TEST_CASE("ids: letters, digits and four signs; never a uuid, never what a client folds away") {
  const auto with_id = [](const std::string& id) {
    return refusal(read_endpoint(
        Json::object({{"id", id}, {"kind", "redis"}, {"config", json(R"({"host":"h"})")}}), ""));
  };
  CHECK(with_id("aZ09_-.:") == "accepted");
  CHECK(with_id(std::string(128, 'a')) == "accepted");
  for (const std::string& id :
       {std::string(), std::string("a b"), std::string("a/b"), std::string("a\nb"),
        std::string("."), std::string(".."), std::string(129, 'a'), std::string("é")}) {
    CAPTURE(id);
    CHECK(with_id(id).find("id: ") == 0);
  }
  CHECK(with_id(make_uuid()) == "id: must not have the form of a uuid");
}

TEST_CASE("uuids: version 4, and different") {
  const std::string uuid = make_uuid();
  CHECK(looks_like_uuid(uuid));
  CHECK(uuid[14] == '4');
  CHECK(std::string("89ab").find(uuid[19]) != std::string::npos);
  CHECK(uuid != make_uuid());
}

TEST_CASE("times: RFC 3339 in UTC") {
  CHECK(rfc3339(0) == "1970-01-01T00:00:00Z");
  CHECK(rfc3339(1705314600) == "2024-01-15T10:30:00Z");
}

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

TEST_CASE("strategy: each of the guide's four objects is read and shown as printed") {
  for (
      const char* text :
      {R"({"type":"big_bang","durability":true})", R"({"type":"big_bang","durability":false})",
       R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write","policy":"old_authoritative"}})",
       R"({"type":"canary","read_percentage":0.05})",
       R"({"type":"canary","read_percentage":0.5,"write_mode":{"mode":"dual_write","policy":"new_authoritative"}})",
       R"({"type":"canary","read_percentage":0.5,"write_mode":{"mode":"dual_write","policy":"best_effort"}})",
       R"({"type":"canary","read_percentage":1.0,"write_mode":{"mode":"cutover","write_percentage":1.0}})",
       R"({"type":"blue_green","active_is_new":false})", R"({"type":"shadow_traffic"})",
       R"({"type":"rolling_update","migrated_instances":[],"total_instances":5})",
       R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z","executed":false})",
       R"({"type":"geographic","regions":{"ap-southeast-1":false,"us-east-1":true}})",
       R"({"type":"rolling_update","migrated_instances":["instance-1","instance-2"],"total_instances":5})"}) {
    CAPTURE(text);
    CHECK(to_text(render(strategy(text))) == text);
  }
  CHECK(to_text(render(strategy("null"))) == R"({"type":"big_bang","durability":true})");
}

TEST_CASE("strategy: those of the guide that are not there get its words") {
  for (const char* text :
       {R"({"type":"strangler_fig","features":{"feature_a":true}})",
        R"({"type":"feature_flag","flags":{"new_database":true},"rollout_percentage":0.25})",
        R"({"type":"teleport"})"}) {
    CAPTURE(text);
    CHECK(strategy_refusal(text) == "Migration strategy not yet implemented");
  }
}

TEST_CASE("rolling_update: instances are names, each once, and no more than there are") {
  const auto refused = [](const std::string& members) {
    return strategy_refusal(R"({"type":"rolling_update",)" + members + "}");
  };
  CHECK(refused(R"("migrated_instances":[])") == "strategy.total_instances: is required");
  CHECK(refused(R"("total_instances":0)") ==
        "strategy.total_instances: must be a whole number from 1 to 10000");
  CHECK(refused(R"("total_instances":1,"migrated_instances":"a")") ==
        "strategy.migrated_instances: must be an array of instance ids");
  for (const char* one : {"7", R"("")", "null"}) {
    CHECK(refused(R"("total_instances":1,"migrated_instances":[)" + std::string(one) + "]") ==
          "strategy.migrated_instances: must hold instance ids, strings of 1 to 256 bytes");
  }
  CHECK(refused(R"("total_instances":3,"migrated_instances":["a","b","a"])") ==
        "strategy.migrated_instances: names an instance twice");
  CHECK(refused(R"("total_instances":1,"migrated_instances":["a","b"])") ==
        "strategy.migrated_instances: names more instances than total_instances");
  CHECK(refused(R"("total_instances":1)") == "accepted");
  CHECK(patched(R"({"type":"rolling_update","total_instances":2})",
                R"({"migrated_instances":["a"]})") ==
        R"({"type":"rolling_update","migrated_instances":["a"],"total_instances":2})");
}

TEST_CASE("rolling_update: it is the instance's own name that counts, and complete is everybody") {
  const auto rolling = [](std::vector<std::string> migrated, std::uint32_t total) {
    return StrategySpec(RollingUpdateSpec{std::move(migrated), total});
  };
  const auto here = [](const StrategySpec& spec, const char* instance) {
    return std::get<RollingUpdate>(to_strategy(spec, {.instance = instance})).here_migrated;
  };
  CHECK(here(rolling({"a", "b"}, 3), "b"));
  CHECK_FALSE(here(rolling({"a", "b"}, 3), "c"));
  CHECK_FALSE(here(rolling({"a", "b"}, 3), ""));
  CHECK_FALSE(everything_on_new(rolling({"a"}, 2), {.instance = "a"}));
  CHECK(everything_on_new(rolling({"a", "b"}, 2), {.instance = "a"}));
  CHECK_FALSE(everything_on_new(rolling({"a", "b"}, 2), {.instance = "c"}));
}

TEST_CASE("geographic: regions are names, each true or false") {
  const auto refused = [](const std::string& regions) {
    return strategy_refusal(R"({"type":"geographic","regions":)" + regions + "}");
  };
  CHECK(strategy_refusal(R"({"type":"geographic"})") == "strategy.regions: is required");
  CHECK(refused("[]") == "strategy.regions: must be an object of regions, each true or false");
  CHECK(refused(R"({"a":1})") == "strategy.regions.a: must be true or false");
  CHECK(refused(R"({"":true})") == "strategy.regions: must have names of 1 to 128 bytes");
  CHECK(refused("{}") == "accepted");
  CHECK(patched(R"({"type":"geographic","regions":{"a":true}})", R"({"regions":{"b":false}})") ==
        R"({"type":"geographic","regions":{"b":false}})");
}

TEST_CASE("geographic: a region that is not listed has not gone; complete is everybody") {
  const StrategySpec some = strategy(R"({"type":"geographic","regions":{"a":true,"b":false}})");
  const auto gone = [&](const char* region) {
    return std::get<Geographic>(to_strategy(some, {.region = region})).region_migrated;
  };
  CHECK(gone("a"));
  CHECK_FALSE(gone("b"));
  CHECK_FALSE(gone("c"));
  CHECK_FALSE(gone(""));
  CHECK_FALSE(everything_on_new(some, {.region = "a"}));
  const StrategySpec all = strategy(R"({"type":"geographic","regions":{"a":true,"b":true}})");
  CHECK(everything_on_new(all, {.region = "a"}));
  CHECK_FALSE(everything_on_new(all, {.region = "c"}));
}

TEST_CASE("time_window: instants have an offset, and their order") {
  const auto refused = [](const std::string& start, const std::string& end) {
    return strategy_refusal(R"({"type":"time_window","window_start":")" + start +
                            R"(","window_end":")" + end + R"("})");
  };
  const std::string noon = "2024-01-15T12:00:00Z";
  CHECK(refused(noon, "2024-01-15T12:00:01Z") == "accepted");
  for (const std::string& end : {noon, std::string("2024-01-15T12:30:00+01:00")}) {
    CHECK(refused(noon, end) == "strategy.window_end: must be later than window_start");
  }
  CHECK(refused("noon", noon).find("strategy.window_start: must be a time with its offset") == 0);
  CHECK(strategy_refusal(R"({"type":"time_window","window_end":"2024-01-15T12:00:00Z"})") ==
        "strategy.window_start: is required");
  CHECK(
      patched(
          R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z","executed":true})",
          R"({"window_end":"2024-01-15T07:00:00+02:00"})") ==
      R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T05:00:00Z","executed":true})");
}

TEST_CASE("instant: RFC 3339 and what is not") {
  const std::int64_t at = 1'705'284'000;  // 2024-01-15T02:00:00Z
  for (const char* text :
       {"2024-01-15T02:00:00Z", "2024-01-15t02:00:00z", "2024-01-15T02:00Z", "2024-01-15 02:00:00Z",
        "2024-01-15T02:00:00.999Z", "2024-01-15T03:30:00+01:30", "2024-01-14T21:00:00-05:00"}) {
    CAPTURE(text);
    CHECK(parse_instant(text) == at);
  }
  CHECK(parse_instant("1970-01-01T00:00:00Z") == 0);
  CHECK(parse_instant("2024-02-29T00:00:00Z").has_value());
  for (const char* text :
       {"", "2024-01-15", "2024-01-15T02:00:00", "2024-02-30T00:00:00Z", "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z", "2024-01-15T24:00:00Z", "2024-01-15T02:60:00Z",
        "2024-01-15T02:00:60Z", "2024-01-15T02:00:00+24:00", "2024-01-15T02:00:00ZZ",
        "1969-12-31T23:59:59Z", "2024-1-15T02:00:00Z", "2024-01-15T02:00:00.Z", "1705284000"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_instant(text).has_value());
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

TEST_CASE("strategy: every one takes a write_mode, shows it, and loses it by null") {
  const std::string dual = R"("write_mode":{"mode":"dual_write","policy":"old_authoritative"})";
  for (
      const std::string members :
      {R"("type":"big_bang","durability":true)", R"("type":"blue_green","active_is_new":false)",
       R"("type":"canary","read_percentage":0.5)", R"("type":"shadow_traffic")",
       R"("type":"rolling_update","migrated_instances":[],"total_instances":1)",
       R"("type":"geographic","regions":{})",
       R"("type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z","executed":false)"}) {
    CAPTURE(members);
    const std::string with = "{" + members + "," + dual + "}";
    const StrategySpec spec = foreseen(strategy(with));
    CHECK(to_text(render(strategy(with))) == with);
    CHECK(dual_writes(spec));
    CHECK(authority_of(spec) == Side::Old);
    CHECK_FALSE(everything_on_new(spec, {}));
    CHECK(patched(with, R"({"write_mode":null})") == "{" + members + "}");
  }
  CHECK_FALSE(
      dual_writes(TimeWindowSpec{1, 2, false, WriteModeSpec{}}));  // nothing before it opens
}

TEST_CASE("strategy: reads that go to new where only a part of the writes does are objected to") {
  const WriteModeSpec half{.mode = WriteMode::Mode::Cutover, .write_percentage = 0.5};
  const std::vector<std::pair<StrategySpec, bool>> some{
      {BigBangSpec{.write_mode = half}, true},
      {BlueGreenSpec{true, half}, true},
      {BlueGreenSpec{false, half}, false},
      {RollingUpdateSpec{{"a"}, 2, half}, true},
      {RollingUpdateSpec{{}, 2, half}, false},
      {GeographicSpec{{{"eu", true}}, half}, true},
      {GeographicSpec{{{"eu", false}}, half}, false},
      {TimeWindowSpec{1, 2, false, half}, true}};
  for (const auto& one : some) {
    CAPTURE(type_of(one.first));
    CHECK(history_objection(one.first).has_value() == one.second);
  }
}

TEST_CASE(
    "canary: a ramp has rising steps, none above what is written on new, and shows as given") {
  const auto canary = [](const std::string& more) {
    return R"({"type":"canary","read_percentage":0.05,)" + more + "}";
  };
  const auto ramp = [&](const std::string& steps, const char* hold = "60") {
    return canary(R"("ramp":{"steps":)" + steps + R"(,"hold_s":)" + hold + "}");
  };
  const std::string shown = R"({"type":"canary","read_percentage":0.05,"split_by":"user",)"
                            R"("ramp":{"steps":[0.25,0.5,1.0],"hold_s":60}})";
  CHECK(to_text(render(strategy(shown))) == shown);
  for (const char* steps :
       {"[]", "[0]", "[0.5,0.5]", "[0.5,0.25]", "[1.5]", "[\"a\"]", "1", "null"}) {
    CAPTURE(steps);
    CHECK(strategy_refusal(ramp(steps)) ==
          "strategy.ramp.steps: must be 1 to 100 shares above 0 and up to 1, each above the last");
  }
  CHECK(strategy_refusal(ramp("[1]", "0")).find("strategy.ramp.hold_s: must be a whole number") ==
        0);
  CHECK(strategy_refusal(canary(R"("ramp":{"steps":[1]})")) == "strategy.ramp.hold_s: is required");
  CHECK(
      strategy_refusal(
          canary(
              R"("write_mode":{"mode":"cutover","write_percentage":0.5},"ramp":{"steps":[0.5,0.6],"hold_s":1})"))
          .find("strategy.ramp: goes above write_mode.write_percentage") == 0);
}

TEST_CASE("regions: networks of either version, and what is wrong with others") {
  const auto read = [](const std::string& regions) {
    auto spec = read_interlay(
        json(R"({"id":"i","endpoint":"e","port":1,"settings":{"pipeline_max":5,"regions":)" +
             regions + "}}"),
        "");
    return spec ? to_text(render(spec->regions)) : spec.error().reason;
  };
  CHECK(read(R"({"eu":["10.1.0.0/16","10.9.9.9"],"us":["fd00:1::/32","::/0"]})") ==
        R"({"eu":["10.1.0.0/16","10.9.9.9/32"],"us":["fd00:1::/32","::/0"]})");
  CHECK(read("null") == "{}");
  CHECK(read("[]") == "settings.regions: must be an object of regions");
  CHECK(read(R"({"eu":"10.0.0.0/8"})") == "settings.regions.eu: must be an array of networks");
  for (const char* text : {"10.0.0.0/33", "10.0.0/8", "fd00::/129", "x", "", "10.0.0.0/",
                           "10.0.0.0/8 ", "10.0.0.0/-1"}) {
    CAPTURE(text);
    CHECK(read(R"({"eu":[")" + std::string(text) + R"("]})")
              .find("settings.regions.eu[0]: must be a network") == 0);
  }
  CHECK(read(R"({"eu":["10.0.0.1/8"]})").find("settings.regions.eu[0]: has bits behind") == 0);
  CHECK(read(R"({"eu":["10.0.0.0/8"],"us":["10.0.0.0/8"]})") ==
        "settings.regions.us[0]: is named twice");
}

TEST_CASE("strategy: what is wrong is named by its path") {
  CHECK(strategy_refusal(R"({"type":"canary"})") == "strategy.read_percentage: is required");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":1.5})") ==
        "strategy.read_percentage: must be a number from 0 to 1");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":"0.5"})") ==
        "strategy.read_percentage: must be a number from 0 to 1, is a string");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":0,"write_mode":{}})") ==
        "strategy.write_mode.mode: is required");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"x"}})") ==
        "strategy.write_mode.mode: must be dual_write or cutover");
  CHECK(
      strategy_refusal(
          R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"dual_write","policy":"mine"}})") ==
      "strategy.write_mode.policy: must be old_authoritative, new_authoritative or best_effort");
  CHECK(strategy_refusal(
            R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"cutover"}})") ==
        "strategy.write_mode.write_percentage: is required");
  CHECK(
      strategy_refusal(
          R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"cutover","write_percentage":-1}})") ==
      "strategy.write_mode.write_percentage: must be a number from 0 to 1");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":0,"percent":1})") ==
        "strategy.percent: is not a known field");
  CHECK(strategy_refusal(R"({"type":"blue_green","active_is_new":1})") ==
        "strategy.active_is_new: must be true or false, is a number");
  CHECK(strategy_refusal(R"({"type":"big_bang","durability":"yes"})") ==
        "strategy.durability: must be true or false, is a string");
  CHECK(strategy_refusal(R"({"read_percentage":0.5})") == "strategy.type: is required");
  CHECK(strategy_refusal(R"({"type":7})") == "strategy.type: must be a string, is a number");
  CHECK(strategy_refusal(R"("canary")") == "strategy: must be an object, is a string");
  for (const char* mode : {R"({"mode":"dual_write","policy":"new_authoritative"})",
                           R"({"mode":"dual_write","policy":"best_effort"})",
                           R"({"mode":"cutover","write_percentage":0})"}) {
    CHECK(strategy_refusal(R"({"type":"shadow_traffic","write_mode":)" + std::string(mode) + "}") ==
          "strategy.write_mode: must be dual_write with old_authoritative for shadow_traffic: old "
          "answers");
  }
  for (const char* name : {"split_by", "ramp"}) {
    CHECK(strategy_refusal(R"({"type":"blue_green",")" + std::string(name) + R"(":1})") ==
          "strategy." + std::string(name) + ": belongs to canary only");
  }
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":0,"split_by":"dice"})") ==
        "strategy.split_by: must be key, user, session or request");
}

TEST_CASE("strategy: a PATCH of the same type changes what it names and keeps the rest") {
  const char* canary =
      R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write","policy":"best_effort"}})";
  const std::string raised =
      R"({"type":"canary","read_percentage":0.25,"write_mode":{"mode":"dual_write","policy":"best_effort"}})";
  CHECK(patched(canary, R"({"read_percentage":0.25})") == raised);
  CHECK(patched(canary, R"({"type":"canary","read_percentage":0.25})") == raised);
  CHECK(
      patched(canary, R"({"write_mode":{"policy":"new_authoritative"}})") ==
      R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write","policy":"new_authoritative"}})");
  CHECK(
      patched(canary, R"({"write_mode":{"mode":"cutover","write_percentage":0.5}})") ==
      R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"cutover","write_percentage":0.5}})");
  CHECK(patched(canary, R"({"write_mode":null})") == R"({"type":"canary","read_percentage":0.05})");
  CHECK(patched(R"({"type":"blue_green","active_is_new":false})", R"({"active_is_new":true})") ==
        R"({"type":"blue_green","active_is_new":true})");
}

TEST_CASE("strategy: what shadow traffic leaves out is shown when it does, and checked") {
  CHECK(patched(R"({"type":"shadow_traffic"})",
                R"({"shadow_writes":false,"sample_percentage":0.25})") ==
        R"({"type":"shadow_traffic","shadow_writes":false,"sample_percentage":0.25})");
  CHECK(patched(R"({"type":"shadow_traffic","shadow_writes":false})",
                R"({"shadow_writes":true})") == R"({"type":"shadow_traffic"})");
  CHECK(patched(R"({"type":"shadow_traffic"})", R"({"sample_percentage":1.5})") ==
        "strategy.sample_percentage: must be a number from 0 to 1");
}

TEST_CASE("strategy: a PATCH of another type replaces everything") {
  CHECK(patched(R"({"type":"canary","read_percentage":0.05})", R"({"type":"shadow_traffic"})") ==
        R"({"type":"shadow_traffic"})");
  CHECK(patched(R"({"type":"shadow_traffic"})", R"({"read_percentage":0.5})") ==
        "strategy.read_percentage: is not a known field");
}

TEST_CASE("strategy: shares become parts per million, nobody and everybody exactly") {
  const auto share = [](double percentage) {
    return std::get<Canary>(to_strategy(CanarySpec{.read_percentage = percentage}, {})).read_share;
  };
  CHECK(share(0) == 0);
  CHECK(share(1) == kWhole);
  CHECK(share(0.05) == 50'000);
  CHECK(share(0.25) == 250'000);
  CHECK(share(0.1 + 0.2) == 300'000);
  CHECK(share(0.29) == 290'000);  // 0.29 * 1e6 is a little less in binary
  CHECK(share(0.999999) == 999'999);
}

TEST_CASE("strategy: complete means that no request can be answered by old") {
  const auto whole = [](const StrategySpec& spec) { return everything_on_new(spec, {}); };
  CHECK(whole(strategy(R"({"type":"big_bang"})")));
  CHECK(whole(strategy(R"({"type":"canary","read_percentage":1})")));
  CHECK(whole(strategy(
      R"({"type":"canary","read_percentage":1,"write_mode":{"mode":"cutover","write_percentage":1}})")));
  CHECK_FALSE(whole(strategy(
      R"({"type":"canary","read_percentage":1,"write_mode":{"mode":"cutover","write_percentage":0.99}})")));
  CHECK_FALSE(whole(
      strategy(R"({"type":"canary","read_percentage":1,"write_mode":{"mode":"dual_write"}})")));
  CHECK_FALSE(whole(strategy(R"({"type":"canary","read_percentage":0.5})")));
  CHECK(whole(strategy(R"({"type":"blue_green","active_is_new":true})")));
  CHECK_FALSE(whole(strategy(R"({"type":"blue_green"})")));
  CHECK_FALSE(whole(strategy(R"({"type":"shadow_traffic"})")));
}

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

}  // namespace crossfade
