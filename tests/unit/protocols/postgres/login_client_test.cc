// Logging in to a server: each method gets the answer that our credentials allow, or a reason that
// says what to configure; no order of messages lets us in without what the method promises.
#include "protocols/postgres/login_client.h"

#include "protocols/postgres/md5_login.h"
#include "tests/unit/protocols/postgres/scram_setup.h"

namespace crossfade::postgres {
namespace {

using std::string_literals::operator""s;

constexpr std::uint32_t kOk = 0, kCleartext = 3, kMd5 = 5, kSasl = 10, kContinue = 11, kFinal = 12;
const std::string kPlain = "SCRAM-SHA-256\0\0"s;
const std::string kBoth = "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s;
const Md5Salt kFour{'s', 'a', 'l', 't'};

LoginClient client(Credentials credentials, std::string certificate_hash = "",
                   Cleartext cleartext = Cleartext::Allowed) {
  return LoginClient(
      {"ann", std::move(credentials), cleartext, "client", std::move(certificate_hash)});
}
const Credentials kPassword = Password{"pencil", {}};
const Credentials kKeys = keys_of_password("pencil", kSalt, kFewIterations);
const Credentials kVerifier = md5_verifier_of("ann", "pencil").value();
const Credentials kNothing = NoCredentials{};

std::string reply(const LoginStep& step) {
  const auto* const error = std::get_if<Error>(&step);
  INFO((error != nullptr ? error->message() : ""));
  REQUIRE(std::holds_alternative<LoginReply>(step));
  return std::get<LoginReply>(step).body;
}
Error error(const LoginStep& step) {
  REQUIRE(std::holds_alternative<Error>(step));
  return std::get<Error>(step);
}
bool done(const LoginStep& step) { return std::holds_alternative<LoginDone>(step); }
bool says(const Error& failure, const char* words) {
  return failure.message().find(words) != std::string::npos;
}

// All of SCRAM against our server, up to its last message.
void prove(LoginClient& asked, const std::string& mechanisms, const std::string& hash) {
  ScramServer server(login_of("pencil", hash));
  const auto challenge = challenge_of(server.advance(reply(asked.advance(kSasl, mechanisms))));
  const auto step = server.advance(reply(asked.advance(kContinue, challenge)));
  REQUIRE(std::holds_alternative<ScramServer::Accepted>(step));
  const auto& accepted = std::get<ScramServer::Accepted>(step);
  CHECK(std::holds_alternative<LoginGoesOn>(asked.advance(kFinal, accepted.data)));
}

TEST_CASE("login: a server that asks for nothing lets everybody in") {
  for (const Credentials& credentials : {kPassword, kKeys, kVerifier, kNothing}) {
    LoginClient asked = client(credentials);
    CHECK(done(asked.advance(kOk, "")));
    CHECK(asked.keys() == nullptr);
  }
}

TEST_CASE("login: a password answers every method") {
  LoginClient cleartext = client(kPassword);
  CHECK(reply(cleartext.advance(kCleartext, "")) == "pencil\0"s);
  CHECK(done(cleartext.advance(kOk, "")));
  LoginClient md5 = client(kPassword);
  CHECK(reply(md5.advance(kMd5, "salt")) ==
        md5_response(std::get<Md5Verifier>(kVerifier), kFour).value());
  CHECK(done(md5.advance(kOk, "")));
}

TEST_CASE("login: SCRAM works with a password and with keys, and binds where it can") {
  struct Way {
    std::string mechanisms;
    std::string hash;
    std::string flag;
  };
  const Way kWays[] = {{kPlain, "", "n,,"}, {kBoth, kHash, "p=tls-server-end-point,,"}};
  for (const Credentials& credentials : {kPassword, kKeys}) {
    for (const Way& way : kWays) {
      LoginClient asked = client(credentials, way.hash);
      prove(asked, way.mechanisms, way.hash);
      CHECK(done(asked.advance(kOk, "")));
      REQUIRE(asked.keys() != nullptr);
      CHECK(asked.keys()->client_key == std::get<ScramKeys>(kKeys).client_key);
    }
    CHECK(reply(client(credentials).advance(kSasl, kBoth)) == initial(kScram, "n,,n=,r=client"));
    CHECK(reply(client(credentials, kHash).advance(kSasl, kPlain)) ==
          initial(kScram, "y,,n=,r=client"));
  }
}

TEST_CASE("login: an md5 verifier answers md5") {
  CHECK(reply(client(kVerifier).advance(kMd5, "salt")) ==
        reply(client(kPassword).advance(kMd5, "salt")));
}

TEST_CASE("login: a method that the credentials do not do for is named, with what would") {
  struct Want {
    std::uint32_t code;
    std::string data;
    const char* method;
  };
  const Want kWants[] = {
      {kCleartext, "", "clear text"}, {kMd5, "salt", "md5"}, {kSasl, kPlain, "SCRAM-SHA-256"}};
  for (const Want& want : kWants) {
    const Error failure = error(client(kNothing).advance(want.code, want.data));
    CHECK(failure.code == Errc::BadConfig);
    CHECK(says(failure, "log in as \"ann\""));
    CHECK(says(failure, want.method));
    CHECK(says(failure, "give this endpoint a username and a password"));
  }
  for (const std::uint32_t code : {kCleartext, kMd5}) {
    CHECK(says(error(client(kKeys).advance(code, code == kMd5 ? "salt" : "")), "scram-sha-256"));
  }
  CHECK(says(error(client(kVerifier).advance(kSasl, kPlain)), "md5 verifier"));
  CHECK(says(error(client(kVerifier).advance(kCleartext, "")), "md5 verifier"));
}

TEST_CASE("login: no password goes in clear text where that is not allowed") {
  const Error failure = error(client(kPassword, "", Cleartext::Refused).advance(kCleartext, ""));
  CHECK(failure.code == Errc::BadConfig);
  CHECK(says(failure, "use TLS"));
}

TEST_CASE("login: methods that nobody here knows are named") {
  const std::pair<std::uint32_t, const char*> kOthers[] = {
      {2, "Kerberos V5"}, {6, "SCM"},      {7, "GSSAPI"},     {8, "GSSAPI"},
      {9, "SSPI"},        {1, "method 1"}, {13, "method 13"}, {0xffffffff, "method 4294967295"}};
  for (const auto& [code, name] : kOthers) {
    const Error failure = error(client(kPassword).advance(code, ""));
    CHECK(failure.code == Errc::BadConfig);
    CHECK(says(failure, name));
    CHECK(says(failure, "pg_hba.conf"));
  }
}

TEST_CASE("login: mechanisms are a list that ends, and one of them is ours") {
  for (const std::string& list :
       {""s, "\0\0"s, "SCRAM-SHA-256"s, "SCRAM-SHA-256\0"s, kPlain + "x"}) {
    CHECK(error(client(kPassword).advance(kSasl, list)).code == Errc::BadInput);
  }
  for (const std::string& list :
       {"\0"s, "OAUTHBEARER\0SCRAM-SHA-1\0\0"s, "SCRAM-SHA-256-PLUS\0\0"s}) {
    CHECK(error(client(kPassword).advance(kSasl, list)).code == Errc::BadConfig);
  }
  CHECK(says(error(client(kPassword).advance(kSasl, "OAUTHBEARER\0X\x1b\0\0"s)), "OAUTHBEARER, ?"));
}

TEST_CASE("login: a server does not get around its own proof") {
  LoginClient early = client(kPassword);
  reply(early.advance(kSasl, kPlain));
  CHECK(says(error(early.advance(kOk, "")), "without having proved"));
  LoginClient late = client(kPassword);
  ScramServer server(login_of("pencil"));
  const auto challenge = challenge_of(server.advance(reply(late.advance(kSasl, kPlain))));
  reply(late.advance(kContinue, challenge));
  CHECK(says(error(late.advance(kOk, "")), "without having proved"));
}

TEST_CASE("login: messages out of order end it, and it stays ended") {
  const std::pair<std::uint32_t, std::string> kMessages[] = {
      {kCleartext, ""}, {kMd5, "salt"}, {kSasl, kPlain}, {kContinue, "r=client"}, {kFinal, "v="}};
  for (const auto& [code, data] : kMessages) {
    LoginClient answered = client(kPassword);
    reply(answered.advance(kCleartext, ""));
    CHECK(error(answered.advance(code, data)).code == Errc::BadInput);
    CHECK(error(answered.advance(kOk, "")).code == Errc::BadInput);
    LoginClient in = client(kPassword);
    CHECK(done(in.advance(kOk, "")));
    CHECK(error(in.advance(code, data)).code == Errc::BadInput);
  }
  for (const std::uint32_t code : {kContinue, kFinal}) {
    CHECK(error(client(kPassword).advance(code, "")).code == Errc::BadInput);
  }
  CHECK(error(client(kPassword).advance(kMd5, "sal")).code == Errc::BadInput);
  CHECK(error(client(kPassword).advance(kMd5, "salty")).code == Errc::BadInput);
}

TEST_CASE("login: no reason holds what it must not") {
  for (const std::uint32_t code : {0u, 2u, 3u, 5u, 7u, 9u, 10u, 11u, 12u, 99u}) {
    for (const char* const data : {"", "salt", "SCRAM-SHA-1\0", "v=x"}) {
      LoginClient asked = client(kPassword, "", Cleartext::Refused);
      const LoginStep step = asked.advance(code, data);
      if (const auto* const failure = std::get_if<Error>(&step))
        CHECK_FALSE(says(*failure, "pencil"));
    }
  }
}

}  // namespace
}  // namespace crossfade::postgres
