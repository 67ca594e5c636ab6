// Who lets clients of a PostgreSQL interlay in, and how it knows them. Values only.
//
// Verifiers are secrets: they live here in memory and nothing prints them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

#include "protocols/postgres/scram_verifier.h"

namespace crossfade {

enum class LoginMode : std::uint8_t {
  PassThrough,  // the home server: the client's login is handed through, whatever the method
  Terminate,    // the sidecar: SCRAM ends here, and each server is entered with what that gave
  Trust         // nobody: who reaches the port is let in, as whom the endpoints say
};
constexpr const char* name_of(LoginMode mode) {
  switch (mode) {
    case LoginMode::PassThrough:
      return "pass_through";
    case LoginMode::Terminate:
      return "terminate";
    case LoginMode::Trust:
      return "trust";
  }
  return "pass_through";
}

// As whom servers are entered for a client that has proved who it is.
enum class EnterAs : std::uint8_t {
  Client,   // as itself, with the keys that its proof gave: it has its own rights there
  Endpoint  // as the endpoint's user, where it names one: everybody has that one's rights
};
constexpr const char* name_of(EnterAs as) { return as == EnterAs::Client ? "client" : "endpoint"; }

// A query that gives (user name, verifier, valid until) of the user $1, asked of the home server by
// a user of its own: whoever may read verifiers should do nothing else.
struct AuthQuery {
  std::string sql;
  std::string username;
  std::string password = {};
  std::string database = {};       // empty: the endpoint's
  std::uint32_t cache_ms = 2'000;  // how long an answer may be used again

  bool operator==(const AuthQuery&) const = default;
};

struct InterlayLogin {
  LoginMode mode = LoginMode::PassThrough;
  std::map<std::string, postgres::ScramVerifier, std::less<>> users = {};
  std::optional<AuthQuery> query = {};  // for users that are not among those
  EnterAs enter_as = EnterAs::Client;   // Terminate

  bool operator==(const InterlayLogin&) const = default;
};

}  // namespace crossfade
