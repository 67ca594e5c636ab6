// Verifiers: what a server keeps of a password (pg_authid.rolpassword), as text and as data.
//
// A verifier is a secret: MD5 ones are as good as the password, SCRAM ones let others play the
// server. No error here repeats any of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "protocols/base/result.h"
#include "protocols/postgres/scram_keys.h"

namespace crossfade::postgres {

inline constexpr std::size_t kVerifierMax = 2048;                    // characters
inline constexpr std::size_t kSaltMax = 512;                         // bytes; servers make 16
inline constexpr std::uint32_t kVerifierIterationsMax = 0x7fffffff;  // the server's INT_MAX
inline constexpr std::uint32_t kDefaultIterations = 4096;  // the server's, unless it is told others
inline constexpr std::size_t kDefaultSalt = 16;            // bytes

struct ScramVerifier {
  std::uint32_t iterations = 0;
  std::string salt;  // bytes
  ScramKey stored_key{};
  ScramKey server_key{};

  friend bool operator==(const ScramVerifier&, const ScramVerifier&) = default;
};
struct Md5Verifier {
  std::string text;  // "md5" and 32 hexadecimal digits in lower case

  friend bool operator==(const Md5Verifier&, const Md5Verifier&) = default;
};
using Verifier = std::variant<ScramVerifier, Md5Verifier>;

// Reads what rolpassword holds: "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>", with
// base64, or "md5…". Strict: format() gives the same text back.
//   errors   BadInput, with what is wrong but nothing of the text
Result<Verifier> parse_verifier(std::string_view text);

std::string format(const ScramVerifier& verifier);

// What a server would keep of these keys.
ScramVerifier verifier_of(const ScramKeys& keys);

// Keys that nobody has the password of, for a user that does not exist or must not log in: the same
// for a user at every call, so that asking twice tells nothing either.
//   secret       bytes that stay the same over restarts and are known to nobody else
//   iterations, salt_size   what real users have, at most 32 bytes of salt: a client sees both
ScramVerifier mock_verifier(std::string_view secret, std::string_view user,
                            std::uint32_t iterations = kDefaultIterations,
                            std::size_t salt_size = kDefaultSalt);

}  // namespace crossfade::postgres
