// The client's side of a SCRAM-SHA-256 login: with a password, or with keys that stand for it.
//
// A server must prove as well that it knows the user's keys; one that does not is left. What a
// server may ask for is bounded: iterations are work, and messages are memory.
//
// Bytes only: nonces come in, bodies of messages go in and out.
//   source   RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication"
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "protocols/base/result.h"
#include "protocols/postgres/scram_keys.h"

namespace crossfade::postgres {

inline constexpr std::size_t kServerMessageMax = 2000;  // bytes; what libpq reads before a login
inline constexpr std::uint32_t kIterationsMax = 1'000'000;  // a quarter of a second, seen here

struct Password {
  std::string text;                // as it was typed
  std::optional<ScramKeys> known;  // keys() of an earlier login with this very text: saves the
                                   // iterations as long as the server keeps its salt
};
using ScramSecret = std::variant<Password, ScramKeys>;

enum class ChannelBinding : std::uint8_t {
  None,       // no TLS, or its certificate could not be hashed: "n"
  Unoffered,  // we could, but the server does not offer it: "y"; a server that did offer it refuses
  EndPoint    // tied to the server's certificate: "p=tls-server-end-point", SCRAM-SHA-256-PLUS
};

class ScramClient {
 public:
  //   nonce              nonce_of(random bytes), new for each login
  //   certificate_hash   server_end_point() of the server's certificate; for EndPoint only
  ScramClient(ScramSecret secret, ChannelBinding binding, std::string nonce,
              std::string_view certificate_hash);

  // Body of SASLInitialResponse.
  std::string first() const;

  // Data of AuthenticationSASLContinue -> body of SASLResponse. Once, after first().
  //   errors   BadInput: no message of SCRAM, or beyond our limits; BadConfig: the server keeps
  //            other keys than ours
  //   cost     with a password whose keys are not known: the server's iterations, see scram_keys.h
  Result<std::string> on_challenge(std::string_view data);

  // Data of AuthenticationSASLFinal. Once, after on_challenge().
  //   errors   BadInput: the server did not prove that it knows this user
  Status on_final(std::string_view data);

  // What the secret came to with this server's salt; after on_challenge().
  const ScramKeys& keys() const { return keys_; }

 private:
  Status find_keys(std::string salt, std::uint32_t iterations);

  ScramSecret secret_;
  ChannelBinding binding_;
  std::string header_;      // gs2-header
  std::string channel_;     // base64 of the header and the certificate's hash
  std::string nonce_;       // ours
  std::string first_bare_;  // client-first-message-bare
  ScramKeys keys_;
  std::optional<ScramKey> server_signature_;  // the one that the server will have to show
};

}  // namespace crossfade::postgres
