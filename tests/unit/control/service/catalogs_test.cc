// Catalogs of PostgreSQL servers: whose they are, when they are asked for, and when a table
// follows.
#include "control/service/catalogs.h"

#include <doctest/doctest.h>

#include "../bench.h"
#include "control/service/catalog_watch.h"

namespace crossfade {

namespace {

using postgres::SqlCatalog;
using postgres::Volatility;

CatalogRows rows(const char* volatility) {
  return {{"f", "public", "total", volatility, ""}, {"r", "public", "accounts", "rn", ""}};
}

// Interlay "app" before endpoint "pg-old" of database "shop", whose server tells a stable total().
struct CatalogBench : Bench {
  CatalogBench() {
    told.catalogs[11] = rows("su");
    for (const auto& [id, port] : {std::pair("pg-old", 11), std::pair("pg-new", 12)}) {
      must(life->endpoints.create(
          json(R"({"id":")" + std::string(id) +
               R"(","kind":"postgres","config":{"host":"10.0.0.2","port":)" + std::to_string(port) +
               R"(,"database":"shop","username":"app"}})"),
          call));
    }
    add_interlay("app", "pg-old", 7002);
  }

  void start_migration() {
    add_migration("m", kShadow);
    must(life->migrations.add_interlay("m", "app", json(R"({"endpoint":"pg-new"})"), call));
    Call forced = call;
    forced.force = true;
    must(life->conductor.migrate("m", forced));
  }

  const SqlCatalog* catalog() const { return plane.route("app").catalog.get(); }
  std::string database() const { return plane.route("app").catalog_database; }
  Volatility total() const { return catalog()->function("public", "total")->volatility; }
  std::string shown(const char* member) {
    return text_of(*must(life->interlays.get("app")).data.find("catalog"), member);
  }
  void look(std::set<std::string> rung) {
    CatalogWatch(life->keeper, life->servers, std::make_shared<CatalogBell>(),
                 std::chrono::seconds(1))
        .look(&rung, {});
  }
  void look() {
    CatalogWatch(life->keeper, life->servers, std::make_shared<CatalogBell>(),
                 std::chrono::seconds(1))
        .look(nullptr, {});
  }
};

postgres::Redefined redefined(const char* table) {
  postgres::Redefined made;
  made.tables.insert(table);
  return made;
}

}  // namespace

TEST_CASE_FIXTURE(CatalogBench, "catalogs: an interlay's first table has what its server told") {
  CHECK(total() == Volatility::Stable);
  CHECK(database() == "shop");
  CHECK(shown("source") == "server");
  CHECK(shown("why") == "null");
  add_endpoint("redis", 1);
  add_interlay("cache", "redis", 7003);
  CHECK(plane.route("cache").catalog == nullptr);
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: a table is published exactly when the answer changes") {
  start_migration();
  const std::size_t before = plane.epochs.size();
  look();
  look();
  CHECK(plane.epochs.size() == before);
  told.catalogs[11] = rows("vu");
  look();
  CHECK(plane.epochs.size() == before + 1);
  CHECK(total() == Volatility::Volatile);
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: asked for while a migration routes, or when rung for") {
  const int before = told.asked;
  look();
  CHECK(told.asked == before);
  look({"another"});
  CHECK(told.asked == before);
  look({"app"});
  CHECK(told.asked == before + 1);
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: a server that is down keeps what it told") {
  told.catalogs.erase(11);  // refuses connections
  look({"app"});
  CHECK(total() == Volatility::Stable);
  CHECK(database() == "shop");
  CHECK(shown("source") == "server");
  CHECK(shown("why").find("Connection refused") != std::string::npos);
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: a server that answers and refuses is believed no more") {
  for (const Errc code : {Errc::BadConfig, Errc::BadInput, Errc::Overloaded}) {
    told.refusing[11] = Error{code, "", "permission denied"};
    look({"app"});
    CHECK(catalog() == SqlCatalog::built_in().get());
    CHECK(database().empty());
    CHECK(shown("source") == "built_in");
    CHECK(shown("why").find("counts as a write") != std::string::npos);
    told.refusing.clear();
    look({"app"});
    CHECK(database() == "shop");
  }
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: rows that nobody understands serve nobody") {
  told.catalogs[11] = {{"?", "", "", "", ""}};
  look({"app"});
  CHECK(catalog() == SqlCatalog::built_in().get());
  CHECK(log.text().find("interlay app: read the catalog: a row of kind '?'") != std::string::npos);
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: an endpoint at another address has to tell anew") {
  told.catalogs[13] = rows("vu");
  told.postgres[13] = told.postgres[11];
  must(life->endpoints.patch("pg-old", json(R"({"config":{"port":13}})"), call));
  CHECK(database().empty());
  learn_from_servers(*life->keeper.state(), life->servers);
  put_learned_in_force(life->keeper);
  CHECK(total() == Volatility::Volatile);
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: the operator's words are in force with their PATCH") {
  must(life->interlays.patch(
      "app", json(R"({"sql":{"functions":{"public.total":"write","now_utc":"read"}}})"), call));
  CHECK(total() == Volatility::Volatile);
  CHECK(catalog()->function("", "total")->volatility == Volatility::Stable);
  CHECK(catalog()->function("", "now_utc")->volatility == Volatility::Stable);
  must(life->interlays.patch("app", json(R"({"sql":{"functions":{"public.total":null}}})"), call));
  CHECK(total() == Volatility::Stable);
  CHECK(catalog()->function("", "now_utc") != nullptr);
  restart();
  CHECK(catalog()->function("", "now_utc") != nullptr);
  must(life->interlays.patch("app", json(R"({"sql":null})"), call));
  CHECK(catalog()->function("", "now_utc") == nullptr);
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: a word that is none is refused with its place") {
  const auto patch = [&](const char* body) {
    return said(life->interlays.patch("app", json(body), call));
  };
  CHECK(patch(R"j({"sql":{"functions":{"f(int)":"read"}}})j") ==
        "400 Bad Request: sql.functions.f(int): must be name or schema.name, without arguments");
  CHECK(patch(R"({"sql":{"relations":{"a.b.c":"read"}}})") ==
        "400 Bad Request: sql.relations.a.b.c: must be name or schema.name, without arguments");
  CHECK(patch(R"({"sql":{"relations":{"a":"maybe"}}})") ==
        "400 Bad Request: sql.relations.a: must be read, volatile_read or write");
  CHECK(patch(R"({"sql":{"types":{}}})").starts_with("400 Bad Request: sql.types"));
}

TEST_CASE_FIXTURE(CatalogBench, "catalogs: whoever rings is heard, and the end ends the waiting") {
  start_migration();
  const auto bell = std::make_shared<CatalogBell>();
  CatalogWatch watch(life->keeper, life->servers, bell, std::chrono::hours(1));
  bell->ring("app", redefined("f"));
  CHECK(bell->unread("app")->tables.contains("f"));
  watch.start();
  {
    const std::lock_guard held(told.mutex);
    told.catalogs[11] = rows("vu");
  }
  bell->ring("app");
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  const auto epochs = [&] {
    const std::lock_guard held(plane.mutex);
    return plane.telemetry.adopted_epoch;
  };
  for (const std::uint64_t before = epochs(); epochs() == before;) {
    REQUIRE(std::chrono::steady_clock::now() < limit);
    std::this_thread::yield();
  }
  while (bell->unread("app") != nullptr) {
    REQUIRE(std::chrono::steady_clock::now() < limit);
    std::this_thread::yield();
  }
  watch.stop();
  CHECK(total() == Volatility::Volatile);
}

TEST_CASE("catalogs: what was changed is not believed until what was asked later is in force") {
  CatalogBell bell;
  CHECK(bell.unread("app") == nullptr);
  bell.ring("app", redefined("one"));
  CHECK(bell.take() == std::set<std::string>{"app"});
  bell.ring("app", redefined("two"));  // while it is being asked
  CHECK(bell.unread("app")->tables.size() == 2);
  CHECK(bell.unread("other") == nullptr);
  bell.read("app");
  CHECK(bell.unread("app")->tables == redefined("two").tables);
  bell.read("app");  // by a question of before
  CHECK(bell.unread("app") != nullptr);
  CHECK(bell.take() == std::set<std::string>{"app"});
  bell.read("app");
  CHECK(bell.unread("app") == nullptr);
}

TEST_CASE("catalogs: code that may have changed something is not hurried for") {
  CatalogBell bell;
  const auto now = std::chrono::steady_clock::now();
  bell.ring("app");
  CHECK(bell.take() == std::set<std::string>{"app"});
  bell.ring("app");
  CHECK(bell.take().empty());
  CHECK(bell.unread("app") == nullptr);
  CHECK(bell.wait_until(now + std::chrono::hours(1)));  // it comes all the same
  CHECK(std::chrono::steady_clock::now() >= now + CatalogBell::kUnhurried);
  CHECK(bell.take() == std::set<std::string>{"app"});
}

}  // namespace crossfade
