// The keys of SCRAM-SHA-256 and what is computed with them.
//
//   SaltedPassword = PBKDF2(password, salt, iterations)
//   ClientKey, ServerKey = HMAC(SaltedPassword, "Client Key" | "Server Key")
//   StoredKey = SHA-256(ClientKey)
//   ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage)
//
// A server keeps StoredKey and ServerKey; whoever has ClientKey as well can log in without the
// password, to each server whose stored keys are the same bytes. Nothing here is ever printed.
//   source   RFC 5802, section 3; RFC 7677
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace crossfade::postgres {

using ScramKey = std::array<unsigned char, 32>;

// What the keys of one user were derived with, and the keys. Two servers with equal salt,
// iterations and server_key take the same client_key.
struct ScramKeys {
  std::string salt;  // bytes, not base64
  std::uint32_t iterations = 0;
  ScramKey client_key{};
  ScramKey server_key{};
};

std::string_view view_of(const ScramKey& key);

// All of these end the process if OpenSSL cannot compute them (no memory, or built without
// SHA-256): going on with what it left behind would be a guess at a key.
ScramKey sha256(std::string_view bytes);
ScramKey hmac_sha256(std::string_view key, std::string_view bytes);

// Both keys of a password as it was typed: prepares it first (password_prep.h).
//   iterations   > 0, and no more than an int holds
//   cost         iterations times two SHA-256: seen here 4096 in 1 to 2 ms. The rest is
//   microseconds.
ScramKeys keys_of_password(std::string_view password, std::string salt, std::uint32_t iterations);

ScramKey stored_key_of(const ScramKey& client_key);
// HMAC of the AuthMessage: by StoredKey it hides ClientKey in the proof; by ServerKey it is the
// server's own signature.
ScramKey signature_of(const ScramKey& key, std::string_view auth_message);
ScramKey exclusive_or(const ScramKey& a, const ScramKey& b);

// How long this takes says nothing about where they differ.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace crossfade::postgres
