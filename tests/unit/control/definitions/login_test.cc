// "auth" of interlays: what is read, what is refused, what is shown.
#include "control/definitions/login.h"

#include <doctest/doctest.h>

#include "../json_literal.h"
#include "control/json/write.h"

namespace crossfade {
namespace {

const std::string kVerifier =
    "SCRAM-SHA-256$4096:MDEyMzQ1Njc4OWFiY2RlZg==$"
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=:"
    "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=";

std::string user(const std::string& name, const std::string& verifier = kVerifier) {
  return R"({"name":")" + name + R"(","verifier":")" + verifier + R"("})";
}

InterlayLogin read(const std::string& text, const InterlayLogin& current = {}) {
  auto login = read_login(json(text), "auth", current);
  INFO(text);
  REQUIRE(login.ok());
  return *login;
}

std::string refusal(const std::string& text) {
  const auto login = read_login(json(text), "auth", {});
  REQUIRE_FALSE(login.ok());
  return login.error().reason;
}

TEST_CASE("auth: is the home server's affair unless it is said otherwise") {
  CHECK(read("null") == InterlayLogin{});
  CHECK(read(R"({"mode":"pass_through"})") == InterlayLogin{});
  CHECK(render(InterlayLogin{}, Secrets::Hidden).is_null());
  CHECK(read(R"({"mode":"trust"})").mode == LoginMode::Trust);
}

TEST_CASE("auth: is kept as it is, and shown without verifiers") {
  const InterlayLogin login = read(R"({"mode":"terminate","users":[)" + user("a") + "," +
                                   user("b") + R"(],"enter_as":"endpoint",
            "auth_query":{"username":"asker","password":"s3cret","cache_ms":5}})");
  CHECK(login.users.size() == 2);
  CHECK(login.query->cache_ms == 5);
  const std::string shown = to_text(render(login, Secrets::Hidden));
  CHECK(shown.find("SCRAM") == shown.npos);
  CHECK(shown.find("s3cret") == shown.npos);
  CHECK(read(to_text(render(login, Secrets::Shown))) == login);
  CHECK(read(shown, login) == login);  // what was shown, sent back
}

TEST_CASE("auth: what makes no sense is refused by its path, and quotes no verifier") {
  CHECK(refusal(R"({"mode":"open"})") == "auth.mode: must be pass_through, terminate or trust");
  CHECK(refusal(R"({})") == "auth.mode: is required");
  CHECK(refusal(R"({"mode":"terminate"})").starts_with("auth.users: or auth_query is required"));
  CHECK(
      refusal(R"({"mode":"trust","users":[)" + user("a") + "]}").starts_with("auth.mode: must be"));
  const auto of_user = [](const std::string& one) {
    return refusal(R"({"mode":"terminate","users":[)" + one + "]}");
  };
  CHECK(of_user(user("a") + "," + user("a")) == "auth.users[1].name: is given twice");
  CHECK(of_user(user("")) == "auth.users[0].name: must not be empty");
  CHECK(of_user(user("a", "***")).starts_with("auth.users[0].verifier: "));
  CHECK(of_user(user("a", "s3cret")).find("s3cret") == std::string::npos);
  CHECK(of_user(user("a", "md5" + std::string(32, 'a'))) ==
        "auth.users[0].verifier: must be of SCRAM-SHA-256: md5 does not do here");
  CHECK(refusal(R"({"mode":"terminate","auth_query":{"username":"u","query":"select 1"}})") ==
        "auth.auth_query.query: must name the user as $1");
  CHECK(refusal(R"({"mode":"terminate","auth_query":{}})") ==
        "auth.auth_query.username: is required");
  CHECK(
      refusal(R"({"mode":"trust","enter_as":"client"})").starts_with("auth.enter_as: does not go"));
}

TEST_CASE("auth: rights are lent beside pass_through where that is said, and shown") {
  auto lent =
      read_login(*parse_json(R"({"mode":"pass_through","enter_as":"endpoint"})"), "auth", {});
  REQUIRE(lent);
  CHECK(lent->enter_as == EnterAs::Endpoint);
  CHECK(*read_login(render(*lent, Secrets::Shown), "auth", {}) == *lent);
  CHECK(render(InterlayLogin{}, Secrets::Shown).is_null());
}

TEST_CASE("auth: is for PostgreSQL alone") {
  const EndpointAddress redis;
  EndpointAddress postgres;
  postgres.kind = EndpointKind::Postgres;
  const InterlayLogin trusts = read(R"({"mode":"trust"})");
  CHECK_FALSE(login_objection({}, redis));
  CHECK(login_objection(trusts, redis));
  CHECK_FALSE(login_objection(trusts, postgres));
}

}  // namespace
}  // namespace crossfade
