// The server's side of a SCRAM-SHA-256 login, as PostgreSQL's: its checks, in its order, with its
// words and SQLSTATEs, so that a client can not tell the two apart.
//
// Gives the client's ClientKey on success: with it the sidecar logs in to servers that keep the
// same verifier. A user that must not log in ("doomed": unknown, expired, no SCRAM verifier) goes
// through the same messages and the same work, and hears what a wrong password hears.
//
// Bytes only: nonces come in, bodies of messages go in and out. No cost worth naming: two HMACs and
// a hash, microseconds.
//   source   RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication"; its behaviour
//            (scram_test.py compares)
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "protocols/postgres/scram_keys.h"
#include "protocols/postgres/scram_verifier.h"

namespace crossfade::postgres {

// The largest body of a SASL message that the server reads (its limit of 1024 counts the length).
inline constexpr std::size_t kSaslBodyMax = 1020;

enum class Chance : std::uint8_t {
  Real,   // the right password logs in
  Doomed  // none does; the verifier is a mock_verifier()
};

struct ScramLogin {
  std::string user;  // as in the start-up packet; SCRAM's own name of the user is ignored
  ScramVerifier verifier;
  Chance chance = Chance::Doomed;
  std::string nonce;             // nonce_of(random bytes), new for each login
  std::string certificate_hash;  // server_end_point() of our certificate; empty without TLS
};

// What ends a login for good. Severity is FATAL; the connection closes behind it.
struct LoginRefusal {
  const char* sqlstate;
  std::string message;
  std::string detail;  // empty: none
};
// What every password that does not fit hears.
LoginRefusal password_refusal(std::string_view user);

class ScramServer {
 public:
  explicit ScramServer(ScramLogin login) : login_(std::move(login)) {}

  // Data of AuthenticationSASL: the mechanisms, best first.
  std::string mechanisms() const;

  struct Challenge {  // send as AuthenticationSASLContinue; a message comes back
    std::string data;
  };
  struct Accepted {  // send as AuthenticationSASLFinal, then AuthenticationOk
    std::string data;
    ScramKeys keys;
  };
  using Step = std::variant<Challenge, Accepted, LoginRefusal>;

  // The body of the client's next 'p' message: SASLInitialResponse first, then SASLResponses. What
  // comes after Accepted or a LoginRefusal is refused.
  Step advance(std::string_view body);

 private:
  enum class State : std::uint8_t { Initial, First, Final, Ended };
  enum class Mechanism : std::uint8_t { Plain, Plus };

  Step on_initial(std::string_view body);
  Step on_first(std::string_view message);
  Step on_final(std::string_view message);
  Step refuse(LoginRefusal refusal);

  ScramLogin login_;
  State state_ = State::Initial;
  Mechanism mechanism_ = Mechanism::Plain;
  std::string channel_;     // the base64 that c= must hold, made of the flag of the first message
  std::string first_bare_;  // client-first-message-bare
  std::string first_;       // server-first-message
  std::string nonce_;       // the client's and ours
};

}  // namespace crossfade::postgres
