// Verifiers: read as strictly as they are written; mocks are stable and look like others.
#include "protocols/postgres/scram_verifier.h"

#include <doctest/doctest.h>

#include "protocols/base/base64.h"

namespace crossfade::postgres {
namespace {

// Made by PostgreSQL 15 of the password "Ⅸ pencil".
const std::string kMade =
    "SCRAM-SHA-256$4096:44fvtbvA1c3a6UVxXfkDGw==$8fd7/O/FE3Mo11yF1SZCIyBxvoPUO8aEH5M8/r6+6Q0=:"
    "rajTZFZjSu8+e2SULfsP/Dm9ayl4wXGOdo1FB/qJYwI=";

ScramVerifier scram(const std::string& text) {
  const Result<Verifier> verifier = parse_verifier(text);
  REQUIRE(verifier.ok());
  return std::get<ScramVerifier>(verifier.value());
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const std::size_t at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

TEST_CASE("verifier: what a server has written is what its password gives") {
  const ScramVerifier verifier = scram(kMade);
  CHECK(verifier.iterations == 4096);
  CHECK(verifier.salt.size() == kDefaultSalt);
  CHECK(format(verifier) == kMade);
  CHECK(verifier_of(keys_of_password("\u2168 pencil", verifier.salt, 4096)) == verifier);
  CHECK(verifier_of(keys_of_password("IX pencil", verifier.salt, 4096)) == verifier);
}

TEST_CASE("verifier: no part of one is one") {
  for (std::size_t size = 0; size < kMade.size(); ++size) {
    CHECK_FALSE(parse_verifier(kMade.substr(0, size)).ok());
  }
  for (std::size_t from = 1; from < kMade.size(); ++from) {
    CHECK_FALSE(parse_verifier(kMade.substr(from)).ok());
  }
  CHECK_FALSE(parse_verifier(kMade + "=").ok());
  CHECK_FALSE(parse_verifier(kMade + "\n").ok());
}

TEST_CASE("verifier: other spellings are refused, and no reason repeats them") {
  const std::string salt = base64(scram(kMade).salt);
  const std::string others[] = {"SCRAM-SHA-1" + kMade.substr(13),
                                "scram-sha-256" + kMade.substr(13),
                                " " + kMade,
                                replaced(kMade, "$4096", "$04096"),
                                replaced(kMade, "$4096", "$0"),
                                replaced(kMade, "$4096", "$"),
                                replaced(kMade, "$4096", "$-1"),
                                replaced(kMade, "$4096", "$+1"),
                                replaced(kMade, "$4096", "$4096x"),
                                replaced(kMade, salt, ""),
                                replaced(kMade, salt, "Zg="),
                                replaced(kMade, salt, salt + "$"),
                                replaced(kMade, "=:", "="),
                                "SCRAM-SHA-256$",
                                "SCRAM-SHA-256",
                                "pencil",
                                ""};
  for (const std::string& other : others) {
    CAPTURE(other);
    const Result<Verifier> verifier = parse_verifier(other);
    REQUIRE_FALSE(verifier.ok());
    CHECK(verifier.error().message().find(salt) == std::string::npos);
  }
}

TEST_CASE("verifier: limits are met exactly") {
  CHECK(scram(replaced(kMade, "$4096", "$1")).iterations == 1);
  CHECK(scram(replaced(kMade, "$4096", "$2147483647")).iterations == kVerifierIterationsMax);
  CHECK_FALSE(parse_verifier(replaced(kMade, "$4096", "$2147483648")).ok());
  CHECK_FALSE(parse_verifier(replaced(kMade, "$4096", "$4294967297")).ok());
  ScramVerifier verifier = scram(kMade);
  verifier.salt = std::string(kSaltMax, 's');
  CHECK(scram(format(verifier)) == verifier);
  verifier.salt += 's';
  CHECK_FALSE(parse_verifier(format(verifier)).ok());
  CHECK_FALSE(parse_verifier(std::string(kVerifierMax + 1, 'x')).ok());
}

TEST_CASE("verifier: md5 is read in the one way in which servers write it") {
  const std::string text = "md5e73a4b11df52a6068f8b39f90be36023";
  const Result<Verifier> verifier = parse_verifier(text);
  REQUIRE(verifier.ok());
  CHECK(std::get<Md5Verifier>(verifier.value()).text == text);
  for (const std::string& other : {text.substr(0, 34), text + "0", replaced(text, "e", "E"),
                                   replaced(text, "md5", "MD5"), replaced(text, "e7", "g7")}) {
    CHECK_FALSE(parse_verifier(other).ok());
  }
}

TEST_CASE("mock: a user has the same one for ever, and no other user, and no other sidecar") {
  const ScramVerifier mock = mock_verifier("secret", "ann");
  CHECK(mock == mock_verifier("secret", "ann"));
  CHECK(mock.iterations == kDefaultIterations);
  CHECK(mock.salt.size() == kDefaultSalt);
  CHECK(scram(format(mock)) == mock);
  for (const ScramVerifier& other :
       {mock_verifier("secret", "bob"), mock_verifier("other", "ann")}) {
    CHECK(other.salt != mock.salt);
    CHECK(other.stored_key != mock.stored_key);
    CHECK(other.server_key != mock.server_key);
  }
  CHECK(mock_verifier("secret", "ann", 9, 32).salt.size() == 32);
  CHECK(mock_verifier("secret", "ann", 9).iterations == 9);
}

}  // namespace
}  // namespace crossfade::postgres
