// The judgement of an auth query's row.
#include "protocols/postgres/auth_query.h"

namespace crossfade::postgres {

Result<AuthAnswer> judge(const AuthRow& row, std::string_view user, Timestamp now) {
  if (row.user != user) {
    return Error{Errc::BadInput, "look up \"" + std::string(user) + "\"",
                 "the auth query gave the row of another user"};
  }
  // An empty password is none: no server lets anybody in with it.
  if (!row.verifier || row.verifier->empty()) return AuthAnswer(NoVerifier{});
  if (row.valid_until) {
    const Result<Timestamp> end = parse_timestamp(*row.valid_until);
    if (!end) return end.error();
    if (end.value() < now) return AuthAnswer(Expired{});
  }
  Result<Verifier> verifier = parse_verifier(*row.verifier);
  if (!verifier) return verifier.error();
  return AuthAnswer(Usable{std::move(verifier).value()});
}

}  // namespace crossfade::postgres
