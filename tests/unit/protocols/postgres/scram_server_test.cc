// The server's side: the exchange of RFC 7677, and everything else is refused in PostgreSQL's
// words. scram_test.py compares those with a real server.
#include "protocols/postgres/scram_server.h"

#include "protocols/base/base64.h"
#include "tests/unit/protocols/postgres/scram_setup.h"

namespace crossfade::postgres {
namespace {

const std::string kFirst = "n,,n=,r=client";
const std::string kNonce = "clientserver-nonce";

ScramServer server(const std::string& certificate_hash = "") {
  return ScramServer(login_of("pencil", certificate_hash));
}

LoginRefusal refusal_to_first(const std::string& message, std::string_view mechanism = kScram,
                              const std::string& certificate_hash = "") {
  ScramServer asked = server(certificate_hash);
  return refusal_of(asked.advance(initial(mechanism, message)));
}

// What the last message of the right client is, but for what is in front of its proof.
std::string final_with(const std::string& without_proof, const std::string& challenge) {
  const ScramKeys keys = keys_of_password("pencil", kSalt, kFewIterations);
  const std::string auth_message = "n=,r=client," + challenge + "," + without_proof;
  const ScramKey proof =
      exclusive_or(keys.client_key, signature_of(stored_key_of(keys.client_key), auth_message));
  return without_proof + ",p=" + base64(view_of(proof));
}

ScramServer::Step after_first(const std::string& message) {
  ScramServer asked = server();
  challenge_of(asked.advance(initial(kScram, kFirst)));
  return asked.advance(message);
}

std::string right_final() {
  ScramServer asked = server();
  return final_with("c=biws,r=" + kNonce, challenge_of(asked.advance(initial(kScram, kFirst))));
}

TEST_CASE("scram server: the example of RFC 7677 is accepted, and gives its keys") {
  const std::string salt = base64_decoded("W22ZaJ0SNY7soEsUEjb6gQ==").value();
  const ScramKeys keys = keys_of_password("pencil", salt, 4096);
  ScramServer asked(
      {"user", verifier_of(keys), Chance::Real, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""});
  CHECK(challenge_of(asked.advance(initial(kScram, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO"))) ==
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
  const ScramServer::Step step = asked.advance(
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
      "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  REQUIRE(std::holds_alternative<ScramServer::Accepted>(step));
  const auto& accepted = std::get<ScramServer::Accepted>(step);
  CHECK(accepted.data == "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
  CHECK(accepted.keys.client_key == keys.client_key);
  CHECK(accepted.keys.server_key == keys.server_key);
  CHECK(accepted.keys.salt == salt);
  CHECK(accepted.keys.iterations == 4096);
}

TEST_CASE("scram server: channel binding is offered where there is a certificate, and first") {
  using std::string_literals::operator""s;
  CHECK(server().mechanisms() == "SCRAM-SHA-256\0\0"s);
  CHECK(server(kHash).mechanisms() == "SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s);
}

TEST_CASE("scram server: a client may leave its first message for later") {
  ScramServer asked = server();
  std::string body(kScram);
  body.append("\0\xff\xff\xff\xff", 5);
  CHECK(challenge_of(asked.advance(body)).empty());
  CHECK(challenge_of(asked.advance(kFirst)).starts_with("r=" + kNonce + ","));
}

TEST_CASE("scram server: no part of a first message is one") {
  for (std::size_t size = 0; size < kFirst.size(); ++size) {
    const std::string part = kFirst.substr(0, size);
    CAPTURE(part);
    if (part.find("r=") != std::string::npos) continue;  // a shorter nonce is a nonce
    CHECK(refusal_to_first(part).sqlstate == std::string("08P01"));
  }
  const std::string whole = initial(kScram, kFirst);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    ScramServer asked = server();
    CHECK(refusal_of(asked.advance(whole.substr(0, size))).sqlstate == std::string("08P01"));
  }
}

TEST_CASE("scram server: what is wrong with a first message is said as PostgreSQL says it") {
  struct Wrong {
    const char* message;
    const char* sqlstate;
    const char* text;
    const char* detail;
  };
  constexpr const char* kMalformed = "malformed SCRAM message";
  const Wrong kWrong[] = {
      {"x,,n=,r=c", "08P01", kMalformed, "Unexpected channel-binding flag \"'x'\"."},
      {"\x01", "08P01", kMalformed, "Unexpected channel-binding flag \"0x01\"."},
      {"n;", "08P01", kMalformed, "Comma expected, but found character \"';'\"."},
      {"n,a=bob,n=,r=c", "0A000", "client uses authorization identity, but it is not supported",
       ""},
      {"n,b=,n=,r=c", "08P01", kMalformed, "Unexpected attribute \"'b'\" in client-first-message."},
      {"n,,m=ext,n=,r=c", "0A000", "client requires an unsupported SCRAM extension", ""},
      {"n,,r=c", "08P01", kMalformed, "Expected attribute \"n\" but found \"'r'\"."},
      {"n,,n,r=c", "08P01", kMalformed, "Expected character \"=\" for attribute \"n\"."},
      {"n,,n=,r=\x7f", "08P01", "non-printable characters in SCRAM nonce", ""},
      {"n,,n=,r=c,1=x", "08P01", kMalformed,
       "Attribute expected, but found invalid character \"'1'\"."},
      {"n,,n=,r=c,x", "08P01", kMalformed, "Expected character \"=\" for attribute \"x\"."},
      {"p=tls-server-end-point,,n=,r=c", "08P01", kMalformed,
       "The client selected SCRAM-SHA-256 without channel binding, but the SCRAM message includes "
       "channel binding data."}};
  for (const Wrong& wrong : kWrong) {
    const LoginRefusal refusal = refusal_to_first(wrong.message);
    CHECK(refusal.sqlstate == std::string(wrong.sqlstate));
    CHECK(refusal.message == wrong.text);
    CHECK(refusal.detail == wrong.detail);
  }
}

TEST_CASE("scram server: a client that was hidden our channel binding is refused") {
  const LoginRefusal refusal = refusal_to_first("y,,n=,r=c", kScram, kHash);
  CHECK(refusal.sqlstate == std::string("28000"));
  CHECK(refusal.message == "SCRAM channel binding negotiation error");
  ScramServer unbound = server();
  challenge_of(unbound.advance(initial(kScram, "y,,n=,r=c")));
}

TEST_CASE("scram server: the mechanism and the flag of a client agree") {
  CHECK(refusal_to_first(kFirst, kScramPlus).message ==
        "client selected an invalid SASL authentication mechanism");
  CHECK(refusal_to_first(kFirst, "SCRAM-SHA-1").message ==
        "client selected an invalid SASL authentication mechanism");
  for (const char* const message : {"n,,n=,r=c", "y,,n=,r=c"}) {
    CHECK(refusal_to_first(message, kScramPlus, kHash).detail ==
          "The client selected SCRAM-SHA-256-PLUS, but the SCRAM message does not include channel "
          "binding data.");
  }
  CHECK(refusal_to_first("p=tls-unique,,n=,r=c", kScramPlus, kHash).message ==
        "unsupported SCRAM channel-binding type \"tls-unique\"");
}

TEST_CASE("scram server: messages are read up to the server's own limit") {
  const auto padded = [](std::size_t size) {
    const std::size_t head = initial(kScram, kFirst + ",x=").size();
    return initial(kScram, kFirst + ",x=" + std::string(size - head, 'x'));
  };
  ScramServer asked = server();
  challenge_of(asked.advance(padded(kSaslBodyMax)));
  ScramServer another = server();
  CHECK(refusal_of(another.advance(padded(kSaslBodyMax + 1))).sqlstate == std::string("28P01"));
}

TEST_CASE("scram server: no part of a last message is one, and nothing may be added to it") {
  const std::string right = right_final();
  CHECK(std::holds_alternative<ScramServer::Accepted>(after_first(right)));
  CHECK(std::holds_alternative<ScramServer::Accepted>(after_first(right + ",")));
  for (std::size_t size = 0; size < right.size(); ++size) {
    CHECK(refusal_of(after_first(right.substr(0, size))).sqlstate == std::string("08P01"));
  }
  CHECK(refusal_of(after_first(right + ",x=y")).detail ==
        "Garbage found at the end of client-final-message.");
  CHECK(refusal_of(after_first(right + '\0')).detail ==
        "Message length does not match input length.");
}

TEST_CASE("scram server: a last message with any bit turned is refused") {
  const std::string right = right_final();
  for (std::size_t at = 0; at < right.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string wrong = right;
      wrong[at] = static_cast<char>(wrong[at] ^ (1 << bit));
      CHECK(std::holds_alternative<LoginRefusal>(after_first(wrong)));
    }
  }
}

TEST_CASE("scram server: an exchange that has ended takes nothing more, not even what is right") {
  ScramServer asked = server();
  challenge_of(asked.advance(initial(kScram, kFirst)));
  const std::string right = right_final();
  CHECK(refusal_of(asked.advance("c=biws,r=" + kNonce + ",p=" + base64(std::string(32, 'p'))))
            .sqlstate == std::string("28P01"));
  CHECK(refusal_of(asked.advance(right)).sqlstate == std::string("28P01"));
}

TEST_CASE("scram server: extensions of a last message are ignored, and signed") {
  ScramServer asked = server();
  const std::string challenge = challenge_of(asked.advance(initial(kScram, kFirst)));
  const std::string extended = final_with("c=biws,r=" + kNonce + ",x=y,z=", challenge);
  CHECK(std::holds_alternative<ScramServer::Accepted>(asked.advance(extended)));
  std::string other = extended;
  other.replace(other.find("x=y"), 3, "x=z");
  CHECK(refusal_of(after_first(other)).sqlstate == std::string("28P01"));
}

TEST_CASE("scram server: a last message repeats the first one's flag and both nonces") {
  CHECK(refusal_of(after_first("c=eSws,r=" + kNonce + ",p=x")).message ==
        "unexpected SCRAM channel-binding attribute in client-final-message");
  for (const std::string& nonce :
       {kNonce + "x", kNonce.substr(1), std::string("client"), std::string("clientserver-noncf")}) {
    const std::string proof = base64(std::string(32, 'p'));
    const LoginRefusal refusal = refusal_of(after_first("c=biws,r=" + nonce + ",p=" + proof));
    CHECK(refusal.message == "invalid SCRAM response");
    CHECK(refusal.detail == "Nonce does not match.");
  }
}

TEST_CASE("scram server: a proof is 32 bytes") {
  for (const std::size_t size : {0u, 31u, 33u}) {
    const std::string proof = base64(std::string(size, 'p'));
    CHECK(refusal_of(after_first("c=biws,r=" + kNonce + ",p=" + proof)).detail ==
          "Malformed proof in client-final-message.");
  }
}

TEST_CASE("scram server: who is doomed hears what a wrong password hears, at each step") {
  const auto exchange = [](ScramLogin login, std::string_view password) {
    ScramServer asked(std::move(login));
    ScramClient client(Password{std::string(password), {}}, ChannelBinding::None, "client", "");
    return refusal_of(log_in(client, asked));
  };
  const LoginRefusal wrong = exchange(login_of("pencil"), "pen");
  CHECK(wrong.sqlstate == std::string("28P01"));
  CHECK(wrong.message == "password authentication failed for user \"ann\"");
  CHECK(wrong.detail.empty());
  ScramLogin unknown = login_of("pencil");
  unknown.verifier = mock_verifier("secret", "ann", kFewIterations);
  unknown.chance = Chance::Doomed;
  ScramLogin doomed = login_of("pencil");  // even with its right password
  doomed.chance = Chance::Doomed;
  for (const ScramLogin& login : {unknown, doomed}) {
    const LoginRefusal refusal = exchange(login, "pencil");
    CHECK(refusal.sqlstate == std::string(wrong.sqlstate));
    CHECK(refusal.message == wrong.message);
    CHECK(refusal.detail == wrong.detail);
  }
  ScramServer known = server();
  ScramServer mocked(unknown);
  CHECK(challenge_of(known.advance(initial(kScram, kFirst))).size() ==
        challenge_of(mocked.advance(initial(kScram, kFirst))).size());
}

}  // namespace
}  // namespace crossfade::postgres
