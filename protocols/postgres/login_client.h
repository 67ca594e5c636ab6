// Logs in to a server: takes its Authentication messages one by one, gives the answers to them.
//
// Whatever method the server asks for, with what we have: a password does for all of them,
// recovered keys for SCRAM, an md5 verifier for MD5. What can not be done is an error that says
// which method the server asked for and what to configure. A server that lets us in in the middle
// of SCRAM, without having proved that it knows the user, is refused.
//
// Knows nothing of connections, TLS, headers of messages, or ErrorResponse.
//   source   PostgreSQL documentation, "Message Flow", Start-up; "Message Formats"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocols/base/result.h"
#include "protocols/postgres/scram_client.h"
#include "protocols/postgres/scram_verifier.h"

namespace crossfade::postgres {

struct NoCredentials {};
using Credentials = std::variant<NoCredentials, Password, ScramKeys, Md5Verifier>;

// Whether a password may go to the server as it is.
enum class Cleartext : std::uint8_t { Refused, Allowed };

struct LoginSetup {
  std::string user;
  Credentials credentials;
  Cleartext cleartext = Cleartext::Refused;
  std::string nonce;             // nonce_of(random bytes), new for each login
  std::string certificate_hash;  // server_end_point() of the server's; empty: no channel binding
};

struct LoginReply {
  std::string body;  // send as a 'p' message
};
struct LoginGoesOn {};  // nothing to send; another message comes
struct LoginDone {};
using LoginStep = std::variant<LoginReply, LoginGoesOn, LoginDone, Error>;

class LoginClient {
 public:
  explicit LoginClient(LoginSetup setup) : setup_(std::move(setup)) {}

  // The next Authentication message: its code, and what follows the code. After LoginDone or an
  // Error the login is over, and more messages are errors.
  //   errors   BadConfig: what is configured does not do for this server; BadInput: the server's
  //            messages make no login
  //   cost     see ScramClient::on_challenge()
  LoginStep advance(std::uint32_t code, std::string_view data);

  // After LoginDone: the keys that were used, to be handed in as Password::known next time. nullptr
  // if SCRAM was not used.
  const ScramKeys* keys() const;

 private:
  enum class State : std::uint8_t { Asked, Answered, FirstSent, FinalSent, Proved, Over };

  LoginStep on_ok();
  LoginStep on_cleartext();
  LoginStep on_md5(std::string_view salt);
  LoginStep on_sasl(std::string_view mechanisms);
  LoginStep on_challenge(std::string_view data);
  LoginStep on_final(std::string_view data);
  LoginStep on_other(std::uint32_t code);
  LoginStep answer(State next, std::string body);
  LoginStep fail(Errc code, std::string reason);

  LoginSetup setup_;
  State state_ = State::Asked;
  std::optional<ScramClient> scram_;
};

}  // namespace crossfade::postgres
