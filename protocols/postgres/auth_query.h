// What a row of an auth query says about a user: may it log in, and by which verifier.
//
// An auth query asks a server for (user name, verifier, valid until) of one user, all in text. As
// the server itself would, a user without a verifier, or with one that has expired, fails as a
// wrong password does: ScramServer is then given a mock_verifier() and Chance::Doomed.
#pragma once

#include <optional>
#include <string_view>
#include <variant>

#include "protocols/postgres/scram_verifier.h"
#include "protocols/postgres/timestamp.h"

namespace crossfade::postgres {

struct AuthRow {
  std::string_view user;
  std::optional<std::string_view> verifier;     // nullopt: NULL
  std::optional<std::string_view> valid_until;  // nullopt: NULL, it never expires
};

struct Usable {
  Verifier verifier;
};
struct NoVerifier {};
struct Expired {};
using AuthAnswer = std::variant<Usable, NoVerifier, Expired>;

// Judges the row that a query for `user` gave.
//   errors   BadInput, never with a verifier in it: the row is of another user, a verifier or a
//   time
//            can not be read. The login must then fail, and the operator be told.
Result<AuthAnswer> judge(const AuthRow& row, std::string_view user, Timestamp now);

}  // namespace crossfade::postgres
