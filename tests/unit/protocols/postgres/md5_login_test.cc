// MD5 logins: as PostgreSQL and libpq compute them.
#include "protocols/postgres/md5_login.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

using std::string_literals::operator""s;

constexpr Md5Salt kSalt{'\x01', '\0', '\xff', 'x'};

TEST_CASE("md5: verifier and response are what PostgreSQL makes of them") {
  // SELECT 'md5' || md5('pencil' || 'ann'), then 'md5' || md5(convert_to(…, 'UTF8') ||
  // '\x0100ff78')
  const Result<Md5Verifier> verifier = md5_verifier_of("ann", "pencil");
  REQUIRE(verifier.ok());
  CHECK(verifier.value().text == "md528754acffc5400623f44a44d30b50393");
  const Result<std::string> response = md5_response(verifier.value(), kSalt);
  REQUIRE(response.ok());
  CHECK(response.value() == "md55870ab59c5f24cddf506dbc049dfa553\0"s);
}

TEST_CASE("md5: only the response to this salt and verifier fits") {
  const Md5Verifier verifier = md5_verifier_of("ann", "pencil").value();
  const std::string right = md5_response(verifier, kSalt).value();
  CHECK(md5_fits(verifier, kSalt, right));
  for (std::size_t size = 0; size < right.size(); ++size) {
    CHECK_FALSE(md5_fits(verifier, kSalt, right.substr(0, size)));
  }
  CHECK_FALSE(md5_fits(verifier, kSalt, right + '\0'));
  CHECK_FALSE(md5_fits(verifier, {'\x01', '\0', '\xff', 'y'}, right));
  CHECK_FALSE(md5_fits(md5_verifier_of("bob", "pencil").value(), kSalt, right));
  CHECK_FALSE(md5_fits(mock_md5_verifier("secret", "ann"), kSalt, right));
}

TEST_CASE("md5: a mock looks like others and stays") {
  const Md5Verifier mock = mock_md5_verifier("secret", "ann");
  CHECK(parse_verifier(mock.text).ok());
  CHECK(mock == mock_md5_verifier("secret", "ann"));
  CHECK_FALSE(mock == mock_md5_verifier("secret", "bob"));
}

TEST_CASE("cleartext: a password goes as it is, and ends in a NUL") {
  CHECK(cleartext_response("pencil") == "pencil\0"s);
  CHECK(cleartext_response("") == "\0"s);
  CHECK(cleartext_response("pen\0cil"s) == "pen\0"s);
}

}  // namespace
}  // namespace crossfade::postgres
