// A migration that writes to both sides has two servers, and has them to itself, whatever they are
// called.
#include "../bench.h"

namespace crossfade {

namespace {

constexpr const char* kBlueGreen = R"({"type":"blue_green"})";

struct Pairs : Bench {
  Pairs() {
    told.up[1].sight.run_id = "one";
    told.up[2].sight.run_id = "two";
    add_sides();
  }

  // Endpoint "again" and an interlay "cache2" before it, with a migration "m2" to that endpoint.
  void add_second(const std::string& strategy, const std::string& target, int port = 3) {
    if (!told.up.contains(static_cast<std::uint16_t>(port))) {
      told.up[static_cast<std::uint16_t>(port)] = ToldServers::healthy();
    }
    add_endpoint("again", port);
    add_interlay("cache2", "again", 7002);
    add_migration("m2", strategy);
    must(life->migrations.add_interlay("m2", "cache2", json(R"({"endpoint":")" + target + R"("})"),
                                       call));
  }

  // The names of the checks that failed.
  std::vector<std::string> failed(const std::string& id) {
    const Answer answer = life->conductor.test(id);
    std::vector<std::string> names;
    for (const Json& check : *must(answer).data.find("checks")->elements()) {
      if (!*check.find("ok")->boolean()) names.push_back(text_of(check, "name"));
    }
    return names;
  }
  std::string detail(const std::string& id, const std::string& name) {
    const Answer answer = life->conductor.test(id);
    for (const Json& check : *must(answer).data.find("checks")->elements()) {
      if (text_of(check, "name") == name) return text_of(check, "detail");
    }
    return {};
  }
  std::string start(const std::string& id, bool force = false) {
    Call with = call;
    with.force = force;
    return said(life->conductor.migrate(id, with));
  }
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("pairs: one server under two names is not two sides, and starts by force only") {
  Pairs bench;
  bench.add_ready("m", kCanary);
  CHECK(bench.failed("m") == Names{});
  bench.told.up[2].sight.run_id = "one";
  CHECK(bench.failed("m") == Names{"distinct"});
  const std::string refused = bench.start("m");
  CHECK(has(refused, "409 Migration error"));
  CHECK(has(refused,
            "distinct of interlay 'cache': old and new are the same database: the same "
            "run_id"));
  CHECK(bench.status("m") == "ready");
  CHECK(bench.start("m", true) == "200");
}

TEST_CASE("pairs: servers that do not tell their run ids are told apart by their addresses") {
  Pairs bench;
  bench.told.up[1].sight.run_id.clear();
  bench.told.up[2].sight.run_id.clear();
  bench.add_ready("m", kCanary);
  CHECK(bench.failed("m") == Names{});
}

TEST_CASE("pairs: two databases of one server do for strategies that send to one side at a time") {
  Pairs bench;
  must(bench.life->endpoints.create(
      json(R"({"id":"db1","kind":"redis","config":{"host":"10.0.0.1","port":1,"db":1}})"),
      bench.call));
  for (const auto& [strategy, names] :
       {std::pair(kBlueGreen, Names{}), std::pair(kShadow, Names{"distinct"}),
        std::pair(kCanary, Names{"distinct", "numbers"})}) {
    bench.add_migration("m", strategy);
    must(bench.life->migrations.add_interlay("m", "cache", json(R"({"endpoint":"db1"})"),
                                             bench.call));
    CHECK(bench.failed("m") == names);
    must(bench.life->migrations.remove("m", bench.call));
  }
}

TEST_CASE("pairs: a database has one number on both sides of a dual write, or it starts by force") {
  Pairs bench;
  must(bench.life->endpoints.create(
      json(R"({"id":"db5","kind":"redis","config":{"host":"10.0.0.1","port":2,"db":5}})"),
      bench.call));
  bench.add_migration("m", kCanary);
  must(
      bench.life->migrations.add_interlay("m", "cache", json(R"({"endpoint":"db5"})"), bench.call));
  CHECK(bench.failed("m") == Names{"numbers"});
  CHECK(has(bench.start("m"), "who selects no database is in 0 on old and in 5 on new"));
  CHECK(bench.start("m", true) == "200");
}

TEST_CASE("pairs: a server belongs to one migration where one of them writes to both sides") {
  Pairs bench;
  bench.add_running("m", kCanary);
  SUBCASE("by its address, under another name") { bench.add_second(kCanary, "new", 1); }
  SUBCASE("as one of the sides") { bench.add_second(kCanary, "new"); }
  SUBCASE("the other way round") { bench.add_second(kCanary, "old"); }
  SUBCASE("by its run id") {
    bench.told.up[3] = ToldServers::healthy();
    bench.told.up[3].sight.run_id = "two";
    bench.told.up[4] = ToldServers::healthy();
    bench.add_endpoint("elsewhere", 4);
    bench.add_second(kCanary, "elsewhere");
  }
  SUBCASE("whatever the second does") { bench.add_second(kBlueGreen, "new"); }
  CHECK(bench.failed("m2") == Names{"alone"});
  const std::string refused = bench.start("m2");
  CHECK(has(refused, "409 Migration error"));
  CHECK(has(refused, "alone of interlay 'cache2': migration 'm' is in force, and its endpoint '"));
  CHECK(has(refused, "?force=true"));
  CHECK(bench.status("m2") == "ready");
  must(bench.life->conductor.pause("m", bench.call));
  CHECK(bench.failed("m2") == Names{"alone"});  // it routes still
  CHECK(bench.start("m2", true) == "200");
  CHECK(bench.status("m2") == "running");
}

namespace {

// Interlays "cache" and "cache2" of one migration, each with its two servers.
struct Crossed : Pairs {
  void add(const char* strategy, const char* second_old, const char* second_new) {
    for (const auto& [id, port] : {std::pair("three", 3), std::pair("four", 4)}) {
      told.up[static_cast<std::uint16_t>(port)] = ToldServers::healthy();
      told.up[static_cast<std::uint16_t>(port)].sight.run_id = id;
      add_endpoint(id, port);
    }
    add_interlay("cache2", second_old, 7002);
    add_ready("m", strategy);
    must(life->migrations.add_interlay(
        "m", "cache2", json(R"({"endpoint":")" + std::string(second_new) + R"("})"), call));
  }
};

}  // namespace

TEST_CASE("pairs: two of one migration have both servers in common, or none") {
  Crossed bench;
  SUBCASE("two old servers into one new one") { bench.add(kCanary, "three", "new"); }
  SUBCASE("one old server into two new ones") { bench.add(kCanary, "old", "three"); }
  SUBCASE("a chain") { bench.add(kCanary, "new", "three"); }
  SUBCASE("the other way round") { bench.add(kCanary, "new", "old"); }
  SUBCASE("under another name") {
    bench.add(kCanary, "three", "four");
    bench.told.up[4].sight.run_id = "two";
  }
  CHECK(bench.failed("m") == Names{"alone", "alone"});
  CHECK(has(bench.start("m"), "interlays 'cache' and 'cache2' have one server in common"));
  CHECK(bench.start("m", true) == "200");
  // What one of them brings the other would delete.
  CHECK(has(said(bench.life->verifications.start("m", bench.call)),
            "409 Migration error: Migration 'm' is not verified: interlays 'cache' and "
            "'cache2' have one server in common"));
}

TEST_CASE("pairs: one pair of servers by other addresses is refused where writes go to both") {
  Crossed bench;
  bench.add(kCanary, "three", "four");
  bench.told.up[3].sight.run_id = "one";
  bench.told.up[4].sight.run_id = "two";
  CHECK(bench.failed("m") == Names{"alone", "alone"});
  CHECK(has(bench.start("m"), "interlays 'cache' and 'cache2' stand between the same two servers"));
  CHECK(bench.start("m", true) == "200");
}

TEST_CASE("pairs: two of one migration may be one pair, or two, or write to one side only") {
  Crossed bench;
  SUBCASE("one") { bench.add(kCanary, "old", "new"); }
  SUBCASE("two") { bench.add(kCanary, "three", "four"); }
  SUBCASE("one side only") { bench.add(kBlueGreen, "three", "new"); }
  CHECK(bench.failed("m") == Names{});
}

TEST_CASE("pairs: what one server has by two endpoints moves alike before both") {
  Pairs bench;
  constexpr const char* kFlag =
      R"({"type":"feature_flag","flags":{"all":true},"rollout_percentage":0.5})";
  constexpr const char* kMoves = R"({"type":"canary","read_percentage":0.5})";
  const auto add = [&](const char* strategy) {
    bench.told.up[3] = bench.told.up[1];
    bench.add_endpoint("again", 3);
    bench.add_interlay("cache2", "again", 7002);
    bench.add_ready("m", strategy);
    must(bench.life->migrations.add_interlay("m", "cache2", json(R"({"endpoint":"new"})"),
                                             bench.call));
  };
  const auto by_users = [&] {
    must(bench.life->interlays.patch(
        "cache", json(R"({"settings":{"user":{"from":"key","pattern":"user:{{user}}"}}})"),
        bench.call));
  };
  const auto by_api = [&] {
    bench.add_template("get", "old", "GET user:{{id}}");
    bench.add_template("set", "old", "SET user:{{id}} {{value}}");
    bench.add_api("users", R"([{"template":"get"},{"template":"set"}])");
    const char* own =
        R"({"bindings":[{"template":"get","fields":{}},{"template":"set","fields":{}}]})";
    must(bench.life->migrations.add_api("m", "users", json(own), bench.call));
  };
  const Names both{"one_history", "one_history"};
  SUBCASE("users are told otherwise") {
    add(kFlag);
    by_users();
    CHECK(bench.failed("m") == both);
    CHECK(has(bench.detail("m", "one_history"),
              "interlay 'cache2' stands before the same server (the same run_id), by an endpoint "
              "of another name, and tells its users by another settings.user"));
    CHECK(has(bench.start("m"), "409 Migration error"));
    CHECK(bench.start("m", true) == "200");
  }
  SUBCASE("an api of the one moves") {
    add(kMoves);
    by_api();
    CHECK(bench.failed("m") == both);
    CHECK(has(bench.detail("m", "one_history"), "goes by other apis"));
  }
  SUBCASE("users are told alike") {
    add(kFlag);
    CHECK(bench.failed("m") == Names{});
    CHECK(has(bench.detail("m", "one_history"), "and moves the same"));
  }
  SUBCASE("they are two servers") {
    add(kFlag);
    by_users();
    bench.told.up[3].sight.run_id = "three";
    CHECK(bench.failed("m") == Names{});
    CHECK(bench.detail("m", "one_history").empty());
  }
  SUBCASE("nothing is on new alone") {
    add(kShadow);
    by_users();
    CHECK(bench.failed("m") == Names{});
  }
}

TEST_CASE("pairs: clients of no other interlay use a server that gets what they did not ask for") {
  Pairs bench;
  std::string at = "old";
  const char* strategy = kCanary;
  Names names{"outside"};
  bool routed = false;
  SUBCASE("old, where everybody is") { names = {}; }
  SUBCASE("new") { at = "new"; }
  SUBCASE("old, which gets no copies") { strategy = kShadow, names = {}; }
  SUBCASE("new, which gets copies") { strategy = kShadow, at = "new"; }
  SUBCASE("old, which new takes over from") { strategy = kBlueGreen, names = {}; }
  SUBCASE("new, which takes over") { strategy = kBlueGreen, at = "new", names = {}; }
  SUBCASE("elsewhere") { at = "three", names = {}; }
  SUBCASE("new, as a migration that is completed leads there") { at = "three", routed = true; }
  bench.told.up[3] = ToldServers::healthy();
  bench.add_endpoint("three", 3);
  bench.add_interlay("beside", at, 7003);
  if (routed) {
    bench.add_migration("done", R"({"type":"big_bang"})");
    must(bench.life->migrations.add_interlay("done", "beside", json(R"({"endpoint":"new"})"),
                                             bench.call));
    must(bench.life->conductor.migrate("done", bench.call));
    CHECK(bench.status("done") == "completed");
  }
  bench.add_ready("m", strategy);
  CHECK(bench.failed("m") == names);
  const bool told = has(bench.detail("m", "outside"), "interlay 'beside' is none of");
  CHECK(told == (!names.empty() || (at == "old" && strategy != kShadow)));
  if (names.empty() || strategy == kShadow) return;
  CHECK(has(bench.start("m"), "interlay 'beside' is none of this migration's"));
  CHECK(bench.start("m", true) == "200");
  CHECK(has(said(bench.life->verifications.start("m", bench.call)),
            "Migration 'm' is not verified: interlay 'beside' is none of this migration's"));
}

TEST_CASE("pairs: the order in which two of them start does not matter") {
  Pairs bench;
  bench.add_running("m", kShadow);
  bench.add_second(kCanary, "new");
  CHECK(bench.failed("m2") == Names{"alone"});
}

TEST_CASE("pairs: what does not write to both sides, or not any more, disturbs nobody") {
  Pairs bench;
  SUBCASE("neither writes to both") {
    bench.add_running("m", kShadow);
    bench.add_second(kShadow, "new");
  }
  SUBCASE("it has not started") {
    bench.add_ready("m", kCanary);
    bench.add_second(kCanary, "new");
  }
  SUBCASE("it was rolled back") {
    bench.add_running("m", kCanary);
    must(bench.life->conductor.rollback("m", bench.call));
    bench.add_second(kCanary, "new");
  }
  SUBCASE("it is completed, and the other one goes to one side only") {
    bench.add_running("m", R"({"type":"big_bang"})");
    bench.add_second(kBlueGreen, "new");
  }
  SUBCASE("its servers are others") {
    bench.add_running("m", kCanary);
    bench.told.up[4] = ToldServers::healthy();
    bench.add_endpoint("elsewhere", 4);
    bench.add_second(kCanary, "elsewhere");
  }
  CHECK(bench.failed("m2") == Names{});
  CHECK(bench.start("m2") == "200");
}

TEST_CASE("pairs: several interlays of one migration share its ledger, and its servers") {
  Pairs bench;
  bench.add_ready("m", kCanary);
  bench.add_endpoint("again", 1);
  bench.add_interlay("cache2", "again", 7002);
  must(bench.life->migrations.add_interlay("m", "cache2", json(R"({"endpoint":"new"})"),
                                           bench.call));
  CHECK(bench.failed("m") == Names{});
  CHECK(bench.start("m") == "200");
}

TEST_CASE("pairs: a server that is down is still what it said it was") {
  Pairs bench;
  bench.told.up[3] = ToldServers::healthy();
  bench.told.up[3].sight.run_id = "two";
  bench.told.up[4] = ToldServers::healthy();
  bench.add_endpoint("elsewhere", 4);
  bench.add_running("m", kCanary);
  bench.add_second(kCanary, "elsewhere");
  bench.told.up.erase(2);
  CHECK(bench.failed("m2") == Names{"alone"});
}

TEST_CASE("pairs: of two that start at once on one pair one is refused") {
  Pairs bench;
  bench.add_ready("m", kCanary);
  bench.add_second(kCanary, "new");
  // While the second is being tested the first one starts, from the beginning to the end.
  bench.told.when_first_asked = [&bench] { CHECK(bench.start("m") == "200"); };
  CHECK(has(bench.start("m2"), "alone of interlay 'cache2': migration 'm' is in force"));
  CHECK(bench.status("m2") == "ready");
}

TEST_CASE("pairs: a PATCH that begins to write to both sides is refused alike") {
  Pairs bench;
  const auto patched = [&](bool force) {
    Call with = bench.call;
    with.force = force;
    return said(bench.life->migrations.patch(
        "m2", json(std::string(R"({"strategy":)") + kCanary + "}"), with));
  };
  SUBCASE("another migration has the servers") {
    bench.add_second(kShadow, "new");
    CHECK(bench.start("m2") == "200");
    bench.add_running("m", R"({"type":"blue_green"})");
    const std::string refused = patched(false);
    CHECK(has(refused,
              "409 Migration error: migration 'm2' may not write to both sides: alone of "
              "interlay 'cache2': migration 'm' is in force"));
  }
  SUBCASE("the two sides have become one server") {
    bench.add_second(kBlueGreen, "new");
    CHECK(bench.start("m2") == "200");
    bench.told.up[3].sight.run_id = "two";
    for (const auto& [uuid, endpoint] : bench.life->keeper.state()->endpoints) {
      bench.life->servers.forget(uuid);
    }
    CHECK(has(patched(false), "distinct of interlay 'cache2': old and new are the same database"));
  }
  CHECK(text_of(*must(bench.life->migrations.get("m2", bench.call)).data.find("strategy"),
                "type") != "canary");
  CHECK(patched(true) == "200");
  CHECK(patched(false) == "200");  // it writes to both already
}

}  // namespace crossfade
