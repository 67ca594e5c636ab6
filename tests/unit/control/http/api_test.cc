// The API's door: who may enter, what each refusal looks like, and probes that say the truth.
#include "control/http/api.h"

#include <doctest/doctest.h>

#include <thread>

#include "../bench.h"

namespace crossfade {

namespace {

// For tests that fail more often than an address may.
EntryRules patient() {
  EntryRules rules;
  rules.failures.rate.at_once = 1000;
  return rules;
}

EntryRules strict() {
  EntryRules rules;
  rules.failures.rate = {.at_once = 3, .per_minute = 1};
  return rules;
}

// An API over a bench, called without a network.
struct Door {
  Bench bench;
  std::string not_ready;
  std::string state_problem;
  Api api;
  HttpHandlers handlers;

  explicit Door(EntryRules rules = {})
      : api({bench.life->endpoints, bench.life->interlays, bench.life->templates, bench.life->apis,
             bench.life->migrations, bench.life->conductor, bench.life->divergence,
             bench.life->verifications},
            {.not_ready = [this] { return not_ready; },
             .state_problem = [this] { return state_problem; },
             .metrics =
                 [](const ApiFigures& figures) {
                   std::string text;
                   for (const auto& [status, count] : figures.answered) {
                     text += std::to_string(status) + "=" + std::to_string(count) + " ";
                   }
                   return text + "failed=" + std::to_string(figures.token_failures.failed) +
                          " refused=" + std::to_string(figures.token_failures.refused);
                 }},
            {{"adm", Role::Admin, sha256_of("admin-secret")},
             {"rd", Role::Read, sha256_of("read-secret")}},
            rules, "0.0.0"),
        handlers(api.handlers()) {
    api.enter(Api::Phase::Ready);
  }

  HttpResponse call(const std::string& method, const std::string& path,
                    const std::string& token = "admin-secret", const std::string& body = "",
                    const std::string& peer = "10.0.0.1") {
    HttpHead head;
    head.peer = peer;
    head.method = method;
    head.path = path;
    if (!token.empty()) head.authorization = "Bearer " + token;
    if (auto refused = handlers.admit(head)) return *refused;
    return handlers.handle(head, body);
  }
};

std::string concrete(const Route& route) {
  std::string path = std::string(kApiBase) + route.path;
  for (std::size_t at = path.find("{}"); at != path.npos; at = path.find("{}")) {
    path.replace(at, 2, "some");
  }
  return path;
}

// The form of a refusal, and nothing else in it.
void check_refusal(const HttpResponse& response, int status, const std::string& error) {
  CHECK(response.status == status);
  const Json body = json(response.body);
  REQUIRE(body.members() != nullptr);
  CHECK(body.members()->size() == 2);
  CHECK(text_of(body, "error") == error);
  CHECK_FALSE(text_of(body, "message").empty());
}

}  // namespace

TEST_CASE("api: every route refuses who has no token, an unknown one, or too small a role") {
  Door door(patient());
  for (const Route& route : routes()) {
    const std::string path = concrete(route);
    CAPTURE(route.method);
    CAPTURE(path);
    check_refusal(door.call(route.method, path, ""), 401, "Unauthorized");
    check_refusal(door.call(route.method, path, "guess"), 401, "Unauthorized");
    CHECK(door.call(route.method, path, "").challenge == "Bearer");
    const HttpResponse as_reader = door.call(route.method, path, "read-secret");
    if (route.role == Role::Admin) {
      check_refusal(as_reader, 403, "Forbidden");
    } else {
      CHECK(as_reader.status != 401);
      CHECK(as_reader.status != 403);
    }
    CHECK(door.call(route.method, path).status != 403);
  }
}

TEST_CASE("api: access is the guide's table, and whatever changes something is for admins") {
  const auto role_of = [](const char* method, const char* path) {
    const RouteMatch match = match_route(method, std::string(kApiBase) + path);
    REQUIRE(match.route != nullptr);
    return match.route->role;
  };
  CHECK(role_of("POST", "/migrations") == Role::Admin);
  CHECK(role_of("GET", "/migrations") == Role::Read);
  CHECK(role_of("GET", "/migrations/m") == Role::Admin);
  CHECK(role_of("POST", "/migrations/m/api/a") == Role::Admin);
  CHECK(role_of("POST", "/migrations/m/interlay/i") == Role::Admin);
  CHECK(role_of("POST", "/migrations/m/test") == Role::Admin);
  CHECK(role_of("POST", "/migrations/m/migrate") == Role::Admin);
  for (const Route& route : routes()) {
    CAPTURE(route.path);
    if (std::string_view(route.method) != "GET") CHECK(route.role == Role::Admin);
    if (route.changes) CHECK(route.role == Role::Admin);
  }
}

TEST_CASE("api: the scheme is Bearer in any case, and nothing else is a token") {
  Door door;
  const auto with = [&](const std::string& authorization) {
    HttpHead head;
    head.method = "GET";
    head.path = "/api/v1/migrations";
    head.authorization = authorization;
    const auto refused = door.handlers.admit(head);
    return refused ? refused->status : 200;
  };
  CHECK(with("Bearer admin-secret") == 200);
  CHECK(with("bearer   admin-secret") == 200);
  for (const char* wrong : {"", "admin-secret", "Basic admin-secret", "Bearer", "Bearer ",
                            "Beareradmin-secret", "Bearer admin-secret2", "Bearer admin-secre"}) {
    CAPTURE(wrong);
    CHECK(with(wrong) == 401);
  }
}

TEST_CASE("api: with no token declared nobody enters") {
  Door door;
  door.api.set_tokens({});
  check_refusal(door.call("GET", "/api/v1/migrations", ""), 401, "Unauthorized");
  check_refusal(door.call("GET", "/api/v1/migrations", "admin-secret"), 401, "Unauthorized");
}

TEST_CASE("api: tokens that are replaced are in force for the next call") {
  Door door;
  door.api.set_tokens({{"fresh", Role::Admin, sha256_of("fresh-secret")}});
  CHECK(door.call("GET", "/api/v1/migrations").status == 401);
  CHECK(door.call("GET", "/api/v1/migrations", "fresh-secret").status == 200);
}

TEST_CASE("api: an unknown path is 404, a known one with another method 405 with what it has") {
  Door door;
  for (const char* path :
       {"/api/v1", "/api/v1/", "/api/v1/nope", "/api/v1x", "/api/v1/migrations/m/nope",
        "/api/v1/migrations//status", "/api/v1/migrations/a/b/c/d", "/", "/nope"}) {
    CAPTURE(path);
    check_refusal(door.call("GET", path), 404, "Not found");
  }
  const HttpResponse wrong = door.call("PUT", "/api/v1/migrations/m");
  check_refusal(wrong, 405, "Method not allowed");
  CHECK(wrong.allow == "GET, PATCH, DELETE");
  check_refusal(door.call("POST", "/healthz"), 405, "Method not allowed");
  CHECK(door.call("GET", "/api/v1/migrations/").status == 200);
}

TEST_CASE("api: a body must be what its route takes, and the message says where it is not") {
  Door door;
  const auto message = [&](const std::string& path, const std::string& body) {
    const HttpResponse response = door.call("POST", path, "admin-secret", body);
    check_refusal(response, 400, "Bad Request");
    return text_of(json(response.body), "message");
  };
  CHECK(message("/api/v1/migrations", "") ==
        "malformed JSON at line 1, column 1: expected a value");
  CHECK(message("/api/v1/migrations", "{\"id\":") ==
        "malformed JSON at line 1, column 7: expected a value");
  CHECK(message("/api/v1/migrations", "[]") == "the body: must be an object, is an array");
  CHECK(message("/api/v1/migrations", R"({"id":"m","strateg":1})") ==
        "strateg: is not a known field");
  CHECK(message("/api/v1/migrations", R"({"id":"m","strategy":{"type":"teleport"}})") ==
        "Migration strategy not yet implemented");
  CHECK(message("/api/v1/migrations/m/migrate", R"({"now":true})") == "now: is not a known field");
  CHECK(door.call("POST", "/api/v1/migrations/m/migrate", "admin-secret", "{}").status == 404);
}

TEST_CASE("api: parameters of the query are what they must be") {
  Door door;
  const auto status = [&](const char* name, const char* value) {
    HttpHead head;
    head.method = "GET";
    head.path = "/api/v1/migrations";
    head.authorization = "Bearer admin-secret";
    head.query[name] = value;
    return door.handlers.handle(head, "").status;
  };
  CHECK(status("verbose", "true") == 200);
  CHECK(status("verbose", "FALSE") == 200);
  CHECK(status("verbose", "perhaps") == 400);
  CHECK(status("wait", "true") == 200);
  CHECK(status("wait", "false") == 200);
  for (const char* wait : {"", "perhaps", "2", "true "}) {
    CAPTURE(wait);
    CHECK(status("wait", wait) == 400);
  }
  CHECK(status("limit", "10") == 200);
  for (const char* limit : {"-1", "x", "1001", "1.5", "99999999999999999999"}) {
    CAPTURE(limit);
    CHECK(status("limit", limit) == 400);
  }
}

TEST_CASE("api: a page of the divergence is asked for with a limit and a cursor") {
  Door door;
  door.bench.add_sides();
  door.bench.add_ready("m", kCanary);
  const auto get = [&](const char* name, const char* value) {
    HttpHead head;
    head.method = "GET";
    head.path = "/api/v1/migrations/m/divergence";
    head.authorization = "Bearer admin-secret";
    head.query[name] = value;
    return door.handlers.handle(head, "");
  };
  for (const char* cursor : {"x", "-1", "", "1.5", "99999999999999999999"}) {
    CAPTURE(cursor);
    CHECK(text_of(json(get("cursor", cursor).body), "message").find("cursor: ") == 0);
    check_refusal(get("cursor", cursor), 400, "Bad Request");
  }
  for (const char* limit : {"0", "1001", "x"}) {
    CAPTURE(limit);
    CHECK(text_of(json(get("limit", limit).body), "message").find("limit") != std::string::npos);
    check_refusal(get("limit", limit), 400, "Bad Request");
  }
  const HttpResponse page = get("limit", "1");
  CHECK(page.status == 200);
  CHECK(
      to_text(*json(page.body).find("data")) ==
      R"({"needs_full_verification":false,"reasons":[],"verification":null,"entries_total":0,"entries":[],"next_cursor":null,"mismatches":[]})");
}

TEST_CASE("api: success has status and data, created ones are 201") {
  Door door;
  const HttpResponse created =
      door.call("POST", "/api/v1/migrations", "admin-secret", R"({"id":"test_migration"})");
  CHECK(created.status == 201);
  CHECK(text_of(json(created.body), "status") == "success");
  CHECK(json(created.body).find("data") != nullptr);
  CHECK_FALSE(created.etag.empty());
  CHECK(door.call("GET", "/api/v1/migrations/test_migration").etag == created.etag);
}

TEST_CASE("api: while it starts nothing is answered but that; while it drains nothing is changed") {
  Door door;
  door.api.enter(Api::Phase::Starting);
  check_refusal(door.call("GET", "/api/v1/migrations"), 503, "Unavailable");
  CHECK(door.call("GET", "/readyz", "").status == 503);
  CHECK(door.call("GET", "/healthz", "").status == 200);
  door.api.enter(Api::Phase::Ready);
  CHECK(door.call("GET", "/readyz", "").status == 200);
  door.api.drain();
  CHECK(door.call("GET", "/readyz", "").status == 503);
  CHECK(door.call("GET", "/healthz", "").status == 200);
  CHECK(door.call("GET", "/api/v1/migrations").status == 200);
  check_refusal(door.call("POST", "/api/v1/migrations", "admin-secret", R"({"id":"m"})"), 503,
                "Unavailable");
}

TEST_CASE("api: draining waits for the change that is under way") {
  Door door;
  door.bench.add_sides();
  door.bench.add_ready("m", kCanary);
  std::thread draining;
  bool ended = false;
  door.bench.told.when_first_asked = [&] {
    draining = std::thread([&] {
      door.api.drain();
      ended = true;  // read after the join only
    });
    // Until the drain has begun; the start below is still under way then.
    while (door.call("GET", "/readyz", "").status == 200) std::this_thread::yield();
  };
  CHECK(door.call("POST", "/api/v1/migrations/m/migrate").status == 200);
  draining.join();
  CHECK(ended);
  CHECK(door.bench.status("m") == "running");
}

TEST_CASE("api: readiness says why it is not") {
  Door door;
  door.not_ready = "a loop sleeps";
  const HttpResponse response = door.call("GET", "/readyz", "");
  check_refusal(response, 503, "Unavailable");
  CHECK(text_of(json(response.body), "message") == "a loop sleeps");
}

TEST_CASE("api: readiness does not hang on the state file, and says what is wrong with it") {
  Door door;
  CHECK(door.call("GET", "/readyz", "").body == R"({"status":"ready"})");
  door.state_problem = "the disk is full";
  const HttpResponse response = door.call("GET", "/readyz", "");
  CHECK(response.status == 200);
  CHECK(response.body == R"({"status":"ready","state":"the disk is full"})");
}

TEST_CASE("api: probes and metrics ask for a token only when told to") {
  Door open;
  CHECK(open.call("GET", "/metrics", "").status == 200);
  Door closed({.probes_token = true, .metrics_token = true});
  for (const char* path : {"/healthz", "/readyz", "/metrics"}) {
    CAPTURE(path);
    CHECK(closed.call("GET", path, "").status == 401);
    CHECK(closed.call("GET", path, "read-secret").status == 200);
  }
}

TEST_CASE("api: answers are counted by status") {
  Door door;
  door.call("GET", "/api/v1/migrations");
  door.call("GET", "/api/v1/migrations", "");
  door.call("GET", "/api/v1/migrations", "guess");
  CHECK(door.call("GET", "/metrics", "").body == "200=1 401=2 failed=2 refused=0");
}

TEST_CASE("api: who shows wrong tokens too often is told 429, and when to come again") {
  Door door(strict());
  for (int i = 0; i < 3; ++i) CHECK(door.call("GET", "/api/v1/endpoints", "guess").status == 401);
  for (const char* token : {"guess", "", "admin-secret2"}) {
    CAPTURE(token);
    const HttpResponse refused = door.call("POST", "/api/v1/endpoints", token, "{}");
    check_refusal(refused, 429, "Too Many Requests");
    REQUIRE(refused.headers.size() == 1);
    CHECK(refused.headers[0].first == "Retry-After");
    const int wait_s = std::stoi(refused.headers[0].second);
    CHECK(wait_s > 0);
    CHECK(wait_s <= 60);
    CHECK(refused.challenge.empty());
  }
  CHECK(door.call("GET", "/metrics", "").body == "401=3 429=3 failed=6 refused=3");
}

TEST_CASE("api: failures of others behind one's address keep nobody out who has a right token") {
  Door door(strict());
  for (int i = 0; i < 10; ++i) door.call("GET", "/api/v1/endpoints", "guess");
  CHECK(door.call("GET", "/api/v1/endpoints").status == 200);
  CHECK(door.call("GET", "/api/v1/endpoints", "read-secret").status == 200);
  // That the role is too small is another matter, however often.
  for (int i = 0; i < 10; ++i) {
    CHECK(door.call("GET", "/api/v1/migrations/m", "read-secret").status == 403);
  }
  // A right token gives no failures back.
  CHECK(door.call("GET", "/api/v1/endpoints", "guess").status == 429);
  CHECK(door.call("GET", "/api/v1/endpoints", "guess", "", "10.0.0.2").status == 401);
  CHECK(door.call("GET", "/healthz", "").status == 200);
  CHECK(door.call("GET", "/readyz", "guess").status == 200);
  CHECK(door.call("GET", "/metrics", "guess").status == 200);
}

TEST_CASE("api: the limit on wrong tokens is one limit, at whatever path") {
  EntryRules rules = strict();
  rules.metrics_token = true;
  Door door(rules);
  CHECK(door.call("GET", "/metrics", "guess").status == 401);
  CHECK(door.call("POST", "/api/v1/mcp/migrations", "guess", "{}").status == 401);
  CHECK(door.call("GET", "/api/v1/no/such/path", "guess").status == 401);
  for (const char* path : {"/metrics", "/api/v1/mcp/migrations", "/api/v1/tools/migrations",
                           "/api/v1/no/such/path", "/api/v1/openapi.json"}) {
    CAPTURE(path);
    check_refusal(door.call("GET", path, "guess"), 429, "Too Many Requests");
  }
}

TEST_CASE("api: who is not let in is in the log with address, call and name, not with a token") {
  Door door(strict());
  for (int i = 0; i < 4; ++i) door.call("GET", "/api/v1/endpoints", "wr0ng-secret");
  door.call("POST", "/api/v1/endpoints", "read-secret", "{}");
  const std::string log = door.bench.log.text();
  CHECK(log.find("control port: 401 for 10.0.0.1: GET /api/v1/endpoints") != log.npos);
  CHECK(log.find("control port: 429 for 10.0.0.1: GET /api/v1/endpoints") != log.npos);
  CHECK(log.find("control port: 403 for 10.0.0.1, token rd: POST /api/v1/endpoints") != log.npos);
  CHECK(log.find("wr0ng-secret") == log.npos);
  CHECK(log.find("read-secret") == log.npos);
}

TEST_CASE("api: no secret leaves by any door") {
  Door door;
  const std::string secret = "s3cret-of-the-endpoint";
  const std::string body =
      R"({"id":"e","kind":"redis","config":{"host":"h","port":1,"password":")" + secret + "\"}}";
  std::string everything;
  everything += door.call("POST", "/api/v1/endpoints", "admin-secret", body).body;
  everything += door.call("POST", "/api/v1/endpoints", "admin-secret", body).body;  // 409
  everything += door.call("POST", "/api/v1/endpoints", "admin-secret", body + "}").body;
  everything +=
      door.call("POST", "/api/v1/endpoints", "admin-secret",
                R"({"id":"f","kind":"redis","config":{"url":"redis://:)" + secret + R"(@h:x"}})")
          .body;
  everything += door.call("POST", "/api/v1/interlays", "admin-secret",
                          R"({"id":"i","endpoint":"e","port":7001})")
                    .body;
  everything += door.call("PATCH", "/api/v1/endpoints/e", "admin-secret",
                          R"({"config":{"password":")" + secret + "2\"}}")
                    .body;
  for (const char* path : {"/api/v1/endpoints", "/api/v1/endpoints/e", "/api/v1/interlays",
                           "/api/v1/interlays/i", "/metrics"}) {
    everything += door.call("GET", path).body;
  }
  everything += door.bench.log.text();
  CHECK(everything.find(secret) == std::string::npos);
  CHECK(everything.find("admin-secret") == std::string::npos);
  CHECK(everything.find("***") != std::string::npos);
}

}  // namespace crossfade
