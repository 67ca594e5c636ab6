// Digests and their comparison in constant time.
#include "control/http/tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "control/hex.h"

namespace crossfade {

const char* name_of(Role role) {
  switch (role) {
    case Role::Read:
      return "read";
    case Role::Admin:
      return "admin";
  }
  return "read";
}

Sha256 sha256_of(std::string_view bytes) {
  Sha256 digest;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), digest.data());
  return digest;
}

std::optional<Sha256> sha256_from_hex(std::string_view hex) {
  Sha256 digest;
  if (hex.size() != 2 * digest.size()) return std::nullopt;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    const int high = hex_digit(hex[2 * i]);
    const int low = hex_digit(hex[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<unsigned char>(high * 16 + low);
  }
  return digest;
}

const Token* find_token(const std::vector<Token>& tokens, std::string_view presented) {
  const Sha256 digest = sha256_of(presented);
  const Token* found = nullptr;
  // No early exit: how long this takes says nothing about which token matched, or how far.
  for (const Token& token : tokens) {
    if (CRYPTO_memcmp(token.digest.data(), digest.data(), digest.size()) == 0) found = &token;
  }
  return found;
}

}  // namespace crossfade
