// SCRAM's arithmetic, by OpenSSL.
#include "protocols/postgres/scram_keys.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cassert>
#include <cstdlib>
#include <utility>

#include "protocols/postgres/password_prep.h"

namespace crossfade::postgres {
namespace {

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::string_view view_of(const ScramKey& key) {
  return {reinterpret_cast<const char*>(key.data()), key.size()};
}

ScramKey sha256(std::string_view bytes) {
  ScramKey digest;
  if (EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr) != 1) {
    std::abort();
  }
  return digest;
}

ScramKey hmac_sha256(std::string_view key, std::string_view bytes) {
  ScramKey code;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(bytes), bytes.size(),
           code.data(), nullptr) == nullptr) {
    std::abort();
  }
  return code;
}

ScramKeys keys_of_password(std::string_view password, std::string salt, std::uint32_t iterations) {
  assert(iterations > 0);
  const std::string prepared = prepared_password(password);
  ScramKey salted;
  if (PKCS5_PBKDF2_HMAC(prepared.data(), static_cast<int>(prepared.size()), bytes_of(salt),
                        static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                        static_cast<int>(salted.size()), salted.data()) != 1) {
    std::abort();
  }
  ScramKeys keys{std::move(salt), iterations, {}, {}};
  keys.client_key = hmac_sha256(view_of(salted), "Client Key");
  keys.server_key = hmac_sha256(view_of(salted), "Server Key");
  return keys;
}

ScramKey stored_key_of(const ScramKey& client_key) { return sha256(view_of(client_key)); }

ScramKey signature_of(const ScramKey& key, std::string_view auth_message) {
  return hmac_sha256(view_of(key), auth_message);
}

ScramKey exclusive_or(const ScramKey& a, const ScramKey& b) {
  ScramKey both;
  for (std::size_t i = 0; i < both.size(); ++i) {
    both[i] = static_cast<unsigned char>(a[i] ^ b[i]);
  }
  return both;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace crossfade::postgres
