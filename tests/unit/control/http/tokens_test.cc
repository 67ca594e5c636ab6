// Tokens are digests; only the whole token opens.
#include "control/http/tokens.h"

#include <doctest/doctest.h>

namespace crossfade {

TEST_CASE("tokens: the digest is SHA-256, in hexadecimal of either case") {
  // FIPS 180-2, appendix B.1.
  const char* abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  CHECK(sha256_from_hex(abc) == sha256_of("abc"));
  std::string upper = abc;
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  CHECK(sha256_from_hex(upper) == sha256_of("abc"));
  for (const std::string& wrong : {std::string(), std::string(abc).substr(1),
                                   std::string(abc) + "0", "g" + std::string(abc).substr(1)}) {
    CHECK_FALSE(sha256_from_hex(wrong).has_value());
  }
}

TEST_CASE("tokens: a token is found by its whole text") {
  const std::vector<Token> tokens = {{"one", Role::Read, sha256_of("first")},
                                     {"two", Role::Admin, sha256_of("second")}};
  REQUIRE(find_token(tokens, "second") != nullptr);
  CHECK(find_token(tokens, "second")->name == "two");
  CHECK(find_token(tokens, "first")->role == Role::Read);
  for (const char* wrong : {"", "fir", "firstt", "First"}) {
    CHECK(find_token(tokens, wrong) == nullptr);
  }
  CHECK(find_token({}, "first") == nullptr);
}

}  // namespace crossfade
