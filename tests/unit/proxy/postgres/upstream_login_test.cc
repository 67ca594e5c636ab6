// An upstream that logs itself in: what each message of the server leads to, and what is remembered
// for the next login.
#include "proxy/postgres/upstream_login.h"

#include <doctest/doctest.h>

#include "protocols/postgres/backend.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "tests/unit/protocols/postgres/scram_setup.h"

namespace crossfade::postgres {
namespace {

using std::string_literals::operator""s;
using Step = UpstreamLogin::Step;

Piece whole(const std::string& bytes) { return {bytes[0], bytes.size(), 0, bytes}; }

template <class Build, class... Args>
std::string built(Build build, Args... args) {
  std::string bytes;
  build(bytes, args...);
  return bytes;
}
const std::string kOk = built(append_authentication_ok);
const std::string kReady = built(append_ready, Transaction::Idle);

UpstreamLogin login(KnownKeys& known, Credentials credentials) {
  return UpstreamLogin({.version = {},
                        .parameters = "user\0ann\0"s,
                        .credentials = std::move(credentials),
                        .user = "ann"},
                       "e", known);
}
template <class What>
bool is(const Step& step) {
  return std::holds_alternative<What>(step);
}

TEST_CASE("upstream login: what a server says of the session is waited through") {
  KnownKeys known;
  UpstreamLogin one = login(known, NoCredentials{});
  CHECK(one.begin({}) == "\0\0\0\x12\0\3\0\0user\0ann\0\0"s);
  CHECK(is<UpstreamLogin::Authenticated>(one.advance(whole(kOk))));
  for (const std::string& aside :
       {built(append_setting, "a", "b"), built(append_backend_key, 7u, "key!"),
        built(append_notice, ReportText{"NOTICE", "00000", "hello"})}) {
    CHECK(is<UpstreamLogin::Wait>(one.advance(whole(aside))));
  }
  CHECK(is<UpstreamLogin::Entered>(one.advance(whole(kReady))));
}

TEST_CASE("upstream login: no server is ready before it has let us in") {
  KnownKeys known;
  UpstreamLogin one = login(known, Password{"pencil", {}});
  one.begin({});
  CHECK(is<Error>(one.advance(whole(kReady))));
}

TEST_CASE("upstream login: a refusal is told in the server's words and without the password") {
  KnownKeys known;
  UpstreamLogin one = login(known, Password{"pencil", {}});
  one.begin({});
  const Step step =
      one.advance(whole(built(append_error, ReportText{"FATAL", "28P01", "no, ann"})));
  REQUIRE(is<Error>(step));
  const std::string text = std::get<Error>(step).message();
  CHECK(text == "log in as \"ann\": it said \"no, ann\" (28P01)");
}

TEST_CASE("upstream login: the password itself goes nowhere unless the wire allows it") {
  for (const Cleartext allowed : {Cleartext::Refused, Cleartext::Allowed}) {
    KnownKeys known;
    UpstreamLogin one = login(known, Password{"pencil", {}});
    one.begin({.cleartext = allowed});
    const Step step = one.advance(whole(built(append_authentication_cleartext)));
    CHECK(is<UpstreamLogin::Send>(step) == (allowed == Cleartext::Allowed));
    if (const auto* send = std::get_if<UpstreamLogin::Send>(&step)) {
      CHECK(send->bytes == built(append_password, "pencil"));
    }
  }
}

TEST_CASE("upstream login: the client's parameters go on, and always its database") {
  const std::string client = "user\0ann\0database\0d\0_pq_.x\0y\0options\0-c a=b\0"s;
  CHECK(entry_parameters(client, "") == "user\0ann\0database\0d\0options\0-c a=b\0"s);
  CHECK(entry_parameters(client, "own") == "user\0own\0database\0d\0options\0-c a=b\0"s);
  CHECK(entry_parameters("user\0ann\0"s, "own") == "user\0own\0database\0ann\0"s);
}

TEST_CASE("known keys: are found again by server, user and password, and by nothing less") {
  KnownKeys known;
  const ScramKeys keys = keys_of_password("pencil", kSalt, kFewIterations);
  known.remember("e", "ann", "pencil", keys);
  REQUIRE(known.find("e", "ann", "pencil"));
  CHECK(known.find("e", "ann", "pencil")->client_key == keys.client_key);
  CHECK_FALSE(known.find("f", "ann", "pencil"));
  CHECK_FALSE(known.find("e", "bob", "pencil"));
  CHECK_FALSE(known.find("e", "ann", "pen"));
}

TEST_CASE("known keys: take no more room than their limit") {
  KnownKeys known;
  const ScramKeys keys;
  for (std::size_t i = 0; i < kKnownKeysMax; ++i) known.remember("e", std::to_string(i), "p", keys);
  CHECK(known.find("e", "0", "p"));
  known.remember("e", "one more", "p", keys);
  CHECK_FALSE(known.find("e", "0", "p"));
  CHECK(known.find("e", "one more", "p"));
}

}  // namespace
}  // namespace crossfade::postgres
