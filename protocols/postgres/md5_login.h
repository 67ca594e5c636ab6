// The older ways to prove a password: its MD5 with a salt, and the password itself.
//
// The MD5 of a password is all that such a login needs: whoever has a server's md5 verifier can log
// in with it. Nothing here is ever printed.
//   source   PostgreSQL documentation, "Message Flow", AuthenticationMD5Password
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "protocols/base/result.h"
#include "protocols/postgres/scram_verifier.h"

namespace crossfade::postgres {

using Md5Salt = std::array<char, 4>;

// What a server keeps for this user. A user that is renamed has another one.
//   errors   Unavailable: this OpenSSL has no MD5 (FIPS)
Result<Md5Verifier> md5_verifier_of(std::string_view user, std::string_view password);

// Body of the PasswordMessage that answers this salt, its NUL included.
//   errors   as above
Result<std::string> md5_response(const Md5Verifier& verifier, const Md5Salt& salt);

// Whether a client's PasswordMessage answers our salt. How long it takes says nothing about where
// it is wrong. False, too, if there is no MD5.
bool md5_fits(const Md5Verifier& verifier, const Md5Salt& salt, std::string_view body);

// A verifier that no password fits, for a user that must not log in: see mock_verifier().
Md5Verifier mock_md5_verifier(std::string_view secret, std::string_view user);

// Body of the PasswordMessage with the password itself. A NUL in it ends it, as it does in libpq.
std::string cleartext_response(std::string_view password);

}  // namespace crossfade::postgres
