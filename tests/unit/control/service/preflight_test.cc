// The test before a start: what it finds, and that a start obeys it.
#include <atomic>

#include "../bench.h"

namespace crossfade {

namespace {

constexpr const char* kAtOnce = R"({"type":"big_bang","durability":false})";
constexpr const char* kAtOnceOnBoth =
    R"({"type":"big_bang","durability":false,)"
    R"("write_mode":{"mode":"dual_write","policy":"old_authoritative"}})";
constexpr const char* kTonight = R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z",)"
                                 R"("window_end":"2024-01-15T04:00:00Z"})";

}  // namespace

TEST_CASE(
    "migrations: the test connects to both sides and names what is wrong; migrate obeys it unless "
    "forced") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  const auto failed = [&] {
    const Answer answer = bench.life->conductor.test("m");
    const Json& data = must(answer).data;
    std::vector<std::string> names;
    for (const Json& check : *data.find("checks")->elements()) {
      if (!*check.find("ok")->boolean()) names.push_back(text_of(check, "name"));
    }
    CHECK(*data.find("valid") == Json(names.empty()));
    CHECK(*data.find("apis_tested") == Json(std::uint64_t{0}));
    CHECK(*data.find("interlays_tested") == Json(std::uint64_t{1}));
    return names;
  };
  using Names = std::vector<std::string>;
  CHECK(failed() == Names{});
  RedisProbe& target = bench.told.up[2];
  target.role = "slave";
  CHECK(failed() == Names{"new_role"});
  const Answer refused = bench.life->conductor.migrate("m", bench.call);
  CHECK(
      said(refused) ==
      "409 Migration error: the test of migration 'm' failed: new_role of interlay 'cache': new is "
      "a replica: it would refuse every write");
  CHECK(std::get<Refusal>(refused).beside.find("checks")->elements()->size() == 1);
  CHECK(bench.status("m") == "ready");
  target = ToldServers::healthy();
  target.loading = true;
  CHECK(failed() == Names{"new_loading"});
  target = ToldServers::healthy();
  target.version = "6.2.1";
  CHECK(failed() == Names{"version"});
  target = ToldServers::healthy();
  target.cluster = true;
  CHECK(failed() == Names{"cluster"});
  target = ToldServers::healthy();
  target.maxmemory = 10;
  bench.told.up[1].used_memory = 11;
  CHECK(failed() == Names{"memory"});
  target = ToldServers::healthy();
  target.persists = false;  // matters to a big bang only
  CHECK(failed() == Names{});
  bench.told.up.erase(2);
  CHECK(failed() == Names{"new_reachable"});
  Call forced = bench.call;
  forced.force = true;
  CHECK(said(bench.life->conductor.migrate("m", forced)) == "200");
}

TEST_CASE("migrations: each server is asked once by a test, however many interlays are before it") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  for (int i = 0; i < 5; ++i) {
    const std::string id = "i" + std::to_string(i);
    bench.add_interlay(id, "old", 7100 + i);
    must(bench.life->migrations.add_interlay("m", id, json(R"({"endpoint":"new"})"), bench.call));
  }
  std::atomic<int> asked = 0;
  bench.told.when_asked = [&](std::uint16_t) { ++asked; };
  must(bench.life->conductor.test("m"));
  CHECK(asked == 2);
}

TEST_CASE("migrations: what new does not tell is not said of it, and what it refuses is") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  const auto check = [&](std::string_view name) {
    const Answer answer = bench.life->conductor.test("m");
    std::string shown = "not looked at";
    for (const Json& one : *must(answer).data.find("checks")->elements()) {
      if (text_of(one, "name") == name) shown = text_of(one, "ok") + ": " + text_of(one, "detail");
    }
    return shown;
  };
  CHECK(check("new_role") == "true: new takes writes");
  bench.told.writes[2] = {WritesTold::Answer::Refused, "MISCONF Redis is configured to save"};
  CHECK(check("new_role") == "false: new refuses every write: MISCONF Redis is configured to save");
  bench.told.writes[2] = {WritesTold::Answer::Silent, "no answer in time"};
  CHECK(check("new_role") == "false: new does not answer a write: no answer in time");
  bench.told.writes[2] = {WritesTold::Answer::NotTold, "NOPERM no"};
  CHECK(check("new_role") ==
        "true: new is a master; it does not tell whether it takes writes: "
        "NOPERM no");
  RedisProbe mute;
  mute.info_refused = true;
  bench.told.up[2] = mute;
  CHECK(check("new_role") == "true: new does not tell whether it takes writes: NOPERM no");
  CHECK(check("new_reachable") ==
        "true: endpoint 'new': a server that refuses INFO answered in 0 us");
  CHECK(check("new_loading") == "not looked at");
  CHECK(check("memory") == "not looked at");
  CHECK(check("keys") == "not looked at");
  CHECK(check("version").starts_with("true: new does not tell: INFO is refused"));
  bench.told.up[1].ping_refusal = "BUSY with a script";
  bench.told.up[2].ping_refusal = "BUSY with a script";
  CHECK(check("new_reachable") ==
        "false: endpoint 'new': it answers PING with an error: BUSY with a script");
  CHECK(check("old_reachable") ==
        "true: endpoint 'old': it answers PING with an error: BUSY with a script");
}

TEST_CASE("migrations: guardrails that nobody will look at are named by the test") {
  Bench bench;
  bench.add_sides();
  const auto guardrails = [&](const char* strategy, const char* given) {
    bench.add_ready("m", std::string(strategy) + R"(,"guardrails":)" + given);
    const Answer answer = bench.life->conductor.test("m");
    CHECK(*must(answer).data.find("valid") == Json(true));
    std::string shown = "not looked at";
    for (const Json& one : *must(answer).data.find("checks")->elements()) {
      if (text_of(one, "name") == "guardrails") shown = text_of(one, "detail");
    }
    must(bench.life->migrations.remove("m", bench.call));
    return shown;
  };
  const char* given = R"({"error_rate":0.1})";
  const std::string_view none = "guardrails are not looked at: it is completed as soon as";
  CHECK(guardrails(kAtOnce, given).starts_with(none));
  CHECK(guardrails(kTonight, given).starts_with(none));
  CHECK(guardrails(kAtOnce, "null") == "not looked at");
  const std::string_view some = "guardrails are looked at while it runs";
  CHECK(guardrails(R"({"type":"blue_green","active_is_new":true})", given) == some);
  CHECK(guardrails(kAtOnceOnBoth, given) == some);
}

TEST_CASE("migrations: a side that evicts keys is named by the test, and refused by nobody") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  const auto detail = [&] {
    const Answer answer = bench.life->conductor.test("m");
    for (const Json& check : *must(answer).data.find("checks")->elements()) {
      if (text_of(check, "name") != "evictions") continue;
      CHECK(*check.find("ok") == Json(true));
      return text_of(check, "detail");
    }
    return std::string();
  };
  RedisProbe& target = bench.told.up[2];
  target.eviction_policy = "allkeys-lru";  // without a maxmemory nothing is evicted
  CHECK(detail() == "neither side drops keys to stay within its maxmemory");
  target.maxmemory = 1'000'000;
  CHECK(detail().starts_with("new has the policy allkeys-lru, so that it drops keys"));
  target.eviction_policy = "noeviction";
  CHECK(detail() == "neither side drops keys to stay within its maxmemory");
  must(bench.life->conductor.migrate("m", bench.call));
}

TEST_CASE("migrations: a durable big bang asks for a target that persists") {
  Bench bench;
  bench.add_sides();
  bench.told.up[2].persists = false;
  bench.add_ready("m", R"({"type":"big_bang"})");
  CHECK(
      said(bench.life->conductor.migrate("m", bench.call)).find("durability of interlay 'cache'") !=
      std::string::npos);
  must(bench.patch_strategy("m", R"({"durability":false})"));
  must(bench.life->conductor.migrate("m", bench.call));
}

TEST_CASE(
    "migrations: data movement that this version does not do is refused at the start, and said "
    "why") {
  Bench bench;
  bench.add_sides();
  must(bench.life->migrations.create(
      json(
          R"({"id":"m","strategy":{"type":"shadow_traffic"},"data":{"type":"scan","replace":"replace"}})"),
      bench.call));
  bench.bind("m");
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .find("data_movement: this version moves no data") != std::string::npos);
  must(bench.patch("m", R"({"data":"none"})"));
  must(bench.life->conductor.migrate("m", bench.call));
  CHECK(said(bench.patch("m", R"({"data":{"type":"scan"}})")) ==
        "409 Migration error: Cannot change data of migration in status: Running");
}

TEST_CASE("migrations: reads ahead of a cutover's writes are found by the test") {
  Bench bench;
  bench.add_sides();
  bench.add_ready(
      "m",
      R"({"type":"canary","read_percentage":0.5,"write_mode":{"mode":"cutover","write_percentage":0.1}})");
  CHECK(said(bench.life->conductor.migrate("m", bench.call))
            .find("strategy: read_percentage is above") != std::string::npos);
}

TEST_CASE("migrations: a PATCH puts reads ahead of a cutover's writes by force only") {
  Bench bench;
  bench.add_sides();
  const std::string split =
      R"({"type":"canary","read_percentage":0.75,"write_mode":{"mode":"cutover","write_percentage":0.25}})";
  bench.add_ready("m", kCanary);
  must(bench.patch_strategy("m", split));  // it does not route yet: `migrate` will refuse it
  must(bench.patch_strategy("m", kCanary));
  must(bench.life->conductor.migrate("m", bench.call));
  const std::uint64_t epoch = bench.life->keeper.epoch();
  CHECK(said(bench.patch_strategy("m", split)) ==
        "409 Migration error: strategy: read_percentage is above write_percentage: some keys would "
        "be read from new while their writes go to old only; raise write_percentage with it, or "
        "PATCH with ?force=true");
  CHECK(bench.life->keeper.epoch() == epoch);
  bench.call.force = true;
  must(bench.patch_strategy("m", split));
  bench.call.force = false;
  must(bench.patch("m", R"({"description":"as it was"})"));
  must(bench.patch_strategy("m", R"({"write_mode":{"mode":"cutover","write_percentage":0.75}})"));
}

}  // namespace crossfade
