// A migration that writes to both sides has two servers, and has them to itself, whatever they are
// called.
#include "../bench.h"

namespace crossfade {

namespace {

constexpr const char* kShadow = R"({"type":"shadow_traffic"})";
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
  SUBCASE("it is completed") {
    bench.add_running("m", R"({"type":"big_bang"})");
    bench.add_second(kCanary, "new");
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
  bench.told.when_asked = [&bench] {
    bench.told.when_asked = nullptr;
    CHECK(bench.start("m") == "200");
  };
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
