// A user, its keys, and both ends of a login, for tests.
#pragma once

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <variant>

#include "protocols/postgres/scram_client.h"
#include "protocols/postgres/scram_message.h"
#include "protocols/postgres/scram_server.h"

namespace crossfade::postgres {

inline constexpr std::uint32_t kFewIterations = 3;  // tests have no passwords to protect
inline const std::string kSalt = "a salt of tests.";
inline const std::string kHash(32, '\x5a');  // of a certificate

inline ScramVerifier verifier_of_password(std::string_view password) {
  return verifier_of(keys_of_password(password, kSalt, kFewIterations));
}

inline ScramLogin login_of(std::string_view password, std::string certificate_hash = "") {
  return {"ann", verifier_of_password(password), Chance::Real, "server-nonce",
          std::move(certificate_hash)};
}

inline std::string initial(std::string_view mechanism, std::string_view data) {
  std::string body(mechanism);
  body.push_back('\0');
  const auto size = static_cast<std::uint32_t>(data.size());
  for (const int shift : {24, 16, 8, 0}) body.push_back(static_cast<char>(size >> shift & 255));
  return body.append(data);
}

inline std::string challenge_of(const ScramServer::Step& step) {
  const auto* const refusal = std::get_if<LoginRefusal>(&step);
  INFO((refusal != nullptr ? refusal->message + ": " + refusal->detail : ""));
  REQUIRE(std::holds_alternative<ScramServer::Challenge>(step));
  return std::get<ScramServer::Challenge>(step).data;
}

inline LoginRefusal refusal_of(const ScramServer::Step& step) {
  REQUIRE(std::holds_alternative<LoginRefusal>(step));
  return std::get<LoginRefusal>(step);
}

// A client's login to our server, message by message, to its last one.
inline ScramServer::Step log_in(ScramClient& client, ScramServer& server) {
  ScramServer::Step step = server.advance(client.first());
  if (std::holds_alternative<LoginRefusal>(step)) return step;
  const Result<std::string> last = client.on_challenge(challenge_of(step));
  REQUIRE(last.ok());
  return server.advance(last.value());
}

}  // namespace crossfade::postgres
