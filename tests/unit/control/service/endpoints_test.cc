// Endpoints: checked before they are believed, never shown with their secrets, kept while they are
// used.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "../bench.h"

namespace crossfade {

namespace {

Answer create(Bench& bench, const std::string& body, bool check = true) {
  Call call = bench.call;
  call.check = check;
  return bench.life->endpoints.create(json(body), call);
}

constexpr const char* kSecretive =
    R"({"id":"e","kind":"redis","config":{"url":"redis://user:s3cret@h:1/2"},"description":"d"})";

}  // namespace

TEST_CASE("endpoints: what is created is shown with its fields, its health, and no secret") {
  Bench bench;
  const Answer created = create(bench, kSecretive);
  CHECK(must(created).status == 201);
  const Answer got = bench.life->endpoints.get("e");
  const Answer listed = bench.life->endpoints.list();
  for (const Answer* answer : {&created, &got, &listed}) {
    CHECK(to_text(must(*answer).data).find("s3cret") == std::string::npos);
  }
  const Json& data = must(got).data;
  CHECK(text_of(data, "kind") == "redis");
  CHECK(text_of(data, "description") == "d");
  CHECK(text_of(data, "config") ==
        R"({"host":"h","port":1,"db":2,"username":"user","password":"***","tls":false})");
  CHECK(*data.find("health")->find("up") == Json(true));
  CHECK(text_of(*data.find("health"), "version") == "7.0.15");
  CHECK(looks_like_uuid(text_of(data, "uuid")));
  CHECK(bench.log.text().find("s3cret") == std::string::npos);
}

TEST_CASE("endpoints: a list asks the servers that were not asked lately, all at once") {
  Bench bench;
  std::atomic<int> asking = 0;
  std::atomic<int> at_once = 0;
  const auto up = [&](std::string_view id) {
    const Answer listed = bench.life->endpoints.list();
    for (const Json& one : *must(listed).data.elements()) {
      if (text_of(one, "id") == id) return text_of(*one.find("health"), "up");
    }
    return std::string("not listed");
  };
  for (int i = 0; i < 8; ++i) {
    must(create(bench,
                R"({"id":"e)" + std::to_string(i) +
                    R"(","kind":"redis","config":{"host":"h","port":)" +
                    std::to_string(i == 0 ? 9 : 1) + "}}",
                i != 0));
  }
  CHECK(up("e0") == "false");  // it was never asked
  CHECK(up("e1") == "true");
  const int asked = bench.told.asked;
  CHECK(up("e1") == "true");
  CHECK(bench.told.asked == asked);
  bench.restart();  // which forgets when it was
  bench.told.up.erase(1);
  // Nobody is answered before two are asked.
  bench.told.when_asked = [&](std::uint16_t) {
    if (++asking >= 2) at_once = 2;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (at_once < 2 && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
    --asking;
  };
  CHECK(up("e1") == "false");
  CHECK(at_once == 2);
}

TEST_CASE("endpoints: the secret survives a restart, and reaches the table") {
  Bench bench;
  must(create(bench, kSecretive));
  bench.add_interlay("i", "e", 7001);
  bench.restart();
  CHECK(bench.plane.route("i").old_side.password == "s3cret");
  CHECK(bench.plane.route("i").old_side.username == "user");
  CHECK(bench.plane.route("i").old_side.db == 2);
}

TEST_CASE("endpoints: one that can not be reached is refused unless the check is waived") {
  Bench bench;
  const char* body = R"({"id":"e","kind":"redis","config":{"host":"h","port":9}})";
  CHECK(said(create(bench, body)) ==
        "503 Unavailable: connect to endpoint 'e': Connection refused");
  CHECK(bench.life->keeper.state()->endpoints.empty());
  CHECK(said(create(bench, body, false)) == "201");
  const Answer got = bench.life->endpoints.get("e");
  CHECK(*must(got).data.find("health")->find("up") == Json(false));
}

TEST_CASE("endpoints: one whose server refuses the login is a bad request") {
  Bench bench;
  bench.told.refusing[1] =
      Error{Errc::BadConfig, "log in to endpoint 'e'", "WRONGPASS invalid username-password pair"};
  CHECK(said(create(bench, kSecretive)) ==
        "400 Bad Request: log in to endpoint 'e': WRONGPASS invalid username-password pair");
}

TEST_CASE("endpoints: whoever asks for one again and again is no load on its server") {
  Bench bench;
  bench.add_endpoint("e", 1);
  const int asked = bench.told.asked;
  for (int i = 0; i < 50; ++i) must(bench.life->endpoints.get("e"));
  CHECK(bench.told.asked <= asked + 25);  // once a second, on a machine however slow
}

TEST_CASE("endpoints: an id is given once") {
  Bench bench;
  bench.add_endpoint("e", 1);
  CHECK(said(create(bench, kSecretive)) == "409 Migration error: Endpoint 'e' already exists");
}

TEST_CASE("endpoints: a PATCH of the address is in force on every route that leads there") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"shadow_traffic"})");
  const Answer moved = bench.life->endpoints.patch(
      "new", json(R"({"config":{"host":"10.9.9.9","port":1}})"), bench.call);
  CHECK(*must(moved).data.find("epoch") == Json(bench.plane.table->epoch));
  CHECK(bench.plane.route("cache").new_side->host == "10.9.9.9");
  CHECK(said(bench.life->endpoints.patch("new", json(R"({"config":{"port":9}})"), bench.call))
            .find("503 Unavailable") == 0);
  CHECK(bench.plane.route("cache").new_side->port == 1);
}

TEST_CASE("endpoints: new is another server by force only, while clients write to it") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", R"({"type":"blue_green"})");
  bench.call.check = false;
  const auto move = [&](const char* endpoint) {
    return bench.life->endpoints.patch(endpoint, json(R"({"config":{"port":9}})"), bench.call);
  };
  CHECK(said(move("new"))
            .starts_with("409 Migration error: Endpoint 'new' is the new side of "
                         "migration 'm', which is in force"));
  must(move("old"));
  must(bench.life->conductor.rollback("m", bench.call));
  must(move("new"));
}

TEST_CASE("endpoints: a side of a dual write leads to other data by force only, and says so") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kCanary);
  const auto move = [&](const char* endpoint, const char* config) {
    bench.call.check = false;
    return bench.life->endpoints.patch(endpoint, json(config), bench.call);
  };
  const auto reasons = [&] {
    const auto& uuid = bench.life->keeper.state()->migrations.begin()->first;
    return bench.life->ledger.summary(uuid)->reasons;
  };
  for (const char* endpoint : {"old", "new"}) {
    for (const char* config : {R"({"config":{"host":"10.9.9.9"}})", R"({"config":{"port":9}})",
                               R"({"config":{"db":3}})"}) {
      CAPTURE(config);
      CHECK(said(move(endpoint, config))
                .find(std::string("409 Migration error: Endpoint '") + endpoint +
                      "' is a side of migration 'm'") == 0);
    }
  }
  must(move("new", R"({"config":{"username":"u","password":"p"},"description":"d"})"));
  CHECK(reasons().empty());
  bench.call.force = true;
  must(move("new", R"({"config":{"port":9}})"));
  REQUIRE(reasons().size() == 1);
  CHECK(reasons()[0].text.starts_with("new endpoint 'new' was given another address"));
  CHECK(bench.life->ledger.suspects("m", 0, 0, "any key"));
  bench.restart();
  const auto kept = reasons();
  CHECK(std::any_of(kept.begin(), kept.end(), [](const LedgerReason& reason) {
    return reason.text.starts_with("new endpoint 'new' was given another address");
  }));
}

TEST_CASE("endpoints: one that is used can not be deleted, and the refusal says by whom") {
  Bench bench;
  bench.add_sides();
  bench.add_ready("m", kCanary);
  CHECK(said(bench.life->endpoints.remove("old", bench.call)) ==
        "409 Migration error: Endpoint 'old' is used by interlay 'cache'");
  CHECK(said(bench.life->endpoints.remove("new", bench.call)) ==
        "409 Migration error: Endpoint 'new' is used by migration 'm'");
  must(bench.life->migrations.remove("m", bench.call));
  CHECK(said(bench.life->endpoints.remove("new", bench.call)) == "200");
  CHECK(said(bench.life->endpoints.get("new")) == "404 Not found: Endpoint 'new' does not exist");
}

TEST_CASE("endpoints: a conditional change is refused after another one") {
  Bench bench;
  bench.add_endpoint("e", 1);
  Call conditional = bench.call;
  conditional.if_match = must(bench.life->endpoints.get("e")).etag;
  must(bench.life->endpoints.patch("e", json(R"({"description":"x"})"), conditional));
  CHECK(said(bench.life->endpoints.patch("e", json(R"({"description":"y"})"), conditional))
            .find("412") == 0);
  CHECK(said(bench.life->endpoints.remove("e", conditional)).find("412") == 0);
}

TEST_CASE("if-match: a list, a star, or nothing") {
  CHECK(matches("", "\"a\""));
  CHECK(matches("*", "\"a\""));
  CHECK(matches("\"b\", \"a\"", "\"a\""));
  CHECK_FALSE(matches("\"b\"", "\"a\""));
  CHECK_FALSE(matches("W/\"a\"", "\"a\""));
}

}  // namespace crossfade
