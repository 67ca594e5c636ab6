// The client's side: with a password or with keys it gets in where they are right, and only there;
// a server that does not know the user is left.
#include "protocols/postgres/scram_client.h"

#include <random>

#include "protocols/base/base64.h"
#include "tests/unit/protocols/postgres/scram_setup.h"

namespace crossfade::postgres {
namespace {

ScramClient client(ScramSecret secret, ChannelBinding binding = ChannelBinding::None) {
  return ScramClient(std::move(secret), binding, "client", kHash);
}
ScramClient client_of(const std::string& password, ChannelBinding binding = ChannelBinding::None) {
  return client(Password{password, {}}, binding);
}

const std::string kChallenge = "r=clientserver,s=" + base64(kSalt) + ",i=3";

bool accepted(const ScramServer::Step& step) {
  return std::holds_alternative<ScramServer::Accepted>(step);
}

TEST_CASE("scram client: its first message names the mechanism and the flag") {
  CHECK(client_of("").first() == initial(kScram, "n,,n=,r=client"));
  CHECK(client_of("", ChannelBinding::Unoffered).first() == initial(kScram, "y,,n=,r=client"));
  CHECK(client_of("", ChannelBinding::EndPoint).first() ==
        initial(kScramPlus, "p=tls-server-end-point,,n=,r=client"));
}

TEST_CASE(
    "scram client: logs in to our server with any password, and with the keys that it gives") {
  std::mt19937 random(4);
  const auto some_text = [&random] {
    std::string text(random() % 24, '\0');
    for (char& c : text) c = static_cast<char>(1 + random() % 255);
    return text;
  };
  for (int round = 0; round < 300; ++round) {
    const std::string password = some_text();
    const bool binds = round % 2 == 0;
    const std::string hash = binds ? kHash : "";
    const ChannelBinding binding = binds ? ChannelBinding::EndPoint : ChannelBinding::None;
    ScramServer server(login_of(password, hash));
    ScramClient by_password = client_of(password, binding);
    const ScramServer::Step step = log_in(by_password, server);
    REQUIRE(accepted(step));
    const auto& found = std::get<ScramServer::Accepted>(step);
    CHECK(by_password.on_final(found.data).ok());
    CHECK(found.keys.client_key == by_password.keys().client_key);

    ScramServer other(login_of(password, hash));
    ScramClient by_keys = client(found.keys, binding);
    const ScramServer::Step again = log_in(by_keys, other);
    REQUIRE(accepted(again));
    CHECK(by_keys.on_final(std::get<ScramServer::Accepted>(again).data).ok());

    ScramServer wrong_one(login_of(password, hash));
    ScramClient wrong = client_of(some_text() + "!", binding);
    CHECK(refusal_of(log_in(wrong, wrong_one)).sqlstate == std::string("28P01"));
  }
}

TEST_CASE("scram client: a login is tied to the certificate") {
  ScramServer server(login_of("pencil", std::string(32, 'x')));
  ScramClient elsewhere = client_of("pencil", ChannelBinding::EndPoint);
  const LoginRefusal refusal = refusal_of(log_in(elsewhere, server));
  CHECK(refusal.sqlstate == std::string("28000"));
  CHECK(refusal.message == "SCRAM channel binding check failed");
}

TEST_CASE("scram client: keys that are known save the work only where they fit") {
  ScramKeys known = keys_of_password("pencil", kSalt, kFewIterations);
  known.server_key[0] ^= 1;  // so that it shows whether they are used
  ScramClient fitting = client(Password{"pencil", known});
  REQUIRE(fitting.on_challenge(kChallenge).ok());
  CHECK(fitting.keys().server_key == known.server_key);
  ++known.iterations;
  ScramClient not_fitting = client(Password{"pencil", known});
  REQUIRE(not_fitting.on_challenge(kChallenge).ok());
  CHECK(not_fitting.keys().server_key != known.server_key);
}

TEST_CASE("scram client: keys of another verifier are not tried, and the reason says what to do") {
  for (const ScramKeys& other : {keys_of_password("pencil", "other salt", kFewIterations),
                                 keys_of_password("pencil", kSalt, kFewIterations + 1)}) {
    const Result<std::string> last = client(other).on_challenge(kChallenge);
    REQUIRE_FALSE(last.ok());
    CHECK(last.error().code == Errc::BadConfig);
    CHECK(last.error().reason.find("same verifier") != std::string::npos);
  }
}

TEST_CASE("scram client: no part of a challenge is one") {
  for (std::size_t size = 0; size < kChallenge.size(); ++size) {
    CHECK_FALSE(client_of("pencil").on_challenge(kChallenge.substr(0, size)).ok());
  }
  CHECK(client_of("pencil").on_challenge(kChallenge).ok());
  CHECK(client_of("pencil").on_challenge(kChallenge + ",x=extension").ok());
}

TEST_CASE("scram client: other challenges are refused") {
  const std::string salt = ",s=" + base64(kSalt);
  const std::string others[] = {"m=ext," + kChallenge,
                                "r=client" + salt + ",i=3",
                                "r=klientserver" + salt + ",i=3",
                                "r=clientserv\x7f" + salt + ",i=3",
                                "r=clientserver,s=,i=3",
                                "r=clientserver,s=Zg=,i=3",
                                "r=clientserver" + salt + ",i=",
                                "r=clientserver" + salt + ",i=0",
                                "r=clientserver" + salt + ",i=03",
                                "r=clientserver" + salt + ",i=-3",
                                "r=clientserver" + salt + ",i=3 ",
                                "r=clientserver" + salt + ",i=3x",
                                "r=clientserver" + salt + ",i=99999999999999999999",
                                "r=clientserver,i=3" + salt,
                                kChallenge + std::string(1, '\0'),
                                "e=other-error"};
  for (const std::string& other : others) {
    CAPTURE(other);
    const Result<std::string> last = client_of("pencil").on_challenge(other);
    REQUIRE_FALSE(last.ok());
    CHECK(last.error().code == Errc::BadInput);
  }
}

TEST_CASE("scram client: what a server asks for is bounded") {
  // With keys at hand, so that the iterations do not have to be made.
  const auto asked = [](std::uint32_t iterations, std::size_t size) {
    std::string challenge =
        "r=clientserver,s=" + base64(kSalt) + ",i=" + std::to_string(iterations) + ",x=";
    challenge.resize(size, 'x');
    ScramKeys known = keys_of_password("pencil", kSalt, 1);
    known.iterations = iterations;
    return client(known).on_challenge(challenge).ok();
  };
  CHECK(asked(kIterationsMax, kServerMessageMax));
  CHECK_FALSE(asked(kIterationsMax + 1, kServerMessageMax));
  CHECK_FALSE(asked(kIterationsMax, kServerMessageMax + 1));
}

TEST_CASE("scram client: a server that does not prove that it knows the user is left") {
  ScramServer server(login_of("pencil"));
  ScramClient asked = client_of("pencil");
  const std::string right = std::get<ScramServer::Accepted>(log_in(asked, server)).data;
  CHECK(asked.on_final(right).ok());
  CHECK(asked.on_final(right + ",x=extension").ok());
  for (std::size_t size = 0; size < right.size(); ++size) {
    CHECK_FALSE(asked.on_final(right.substr(0, size)).ok());
  }
  for (std::size_t at = 0; at < right.size(); ++at) {
    std::string wrong = right;
    wrong[at] = wrong[at] == 'A' ? 'B' : 'A';
    CHECK_FALSE(asked.on_final(wrong).ok());
  }
  CHECK_FALSE(client_of("pencil").on_final("v=" + base64(std::string(32, '\0'))).ok());
  const Status status = asked.on_final("e=invalid-proof");
  REQUIRE_FALSE(status.ok());
  CHECK(status.error().reason.find("invalid-proof") != std::string::npos);
  CHECK_FALSE(asked.on_final("e=\x1b[2J").ok());
}

}  // namespace
}  // namespace crossfade::postgres
