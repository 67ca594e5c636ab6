// The certificate's hash: by the hash of its signature, SHA-256 where that is weak.
#include "protocols/postgres/channel_binding.h"

#include <doctest/doctest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>

namespace crossfade::postgres {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

// A certificate signed by its own key, with `hash` (nullptr: as the kind of key has it), as DER.
std::string certificate(const Key& key, const EVP_MD* hash) {
  const Certificate made(X509_new(), X509_free);
  REQUIRE(X509_set_version(made.get(), 2) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(made.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(made.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(made.get()), 60);
  REQUIRE(X509_set_pubkey(made.get(), key.get()) == 1);
  REQUIRE(X509_sign(made.get(), key.get(), hash) > 0);
  std::string der(static_cast<std::size_t>(i2d_X509(made.get(), nullptr)), '\0');
  auto* to = reinterpret_cast<unsigned char*>(der.data());
  i2d_X509(made.get(), &to);
  return der;
}

std::string hashed(std::string_view bytes, const EVP_MD* hash) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, hash, nullptr);
  return {reinterpret_cast<const char*>(digest), size};
}

TEST_CASE("channel binding: the hash of a certificate is that of its signature, or SHA-256") {
  const Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const EVP_MD* const kHashes[][2] = {{EVP_sha256(), EVP_sha256()},
                                      {EVP_sha384(), EVP_sha384()},
                                      {EVP_sha512(), EVP_sha512()},
                                      {EVP_sha1(), EVP_sha256()}};
  for (const auto& [signature, wanted] : kHashes) {
    const std::string der = certificate(key, signature);
    const Result<std::string> found = server_end_point(der);
    REQUIRE(found.ok());
    CHECK(found.value() == hashed(der, wanted));
    for (std::size_t size = 0; size < der.size(); ++size) {
      CHECK_FALSE(server_end_point(der.substr(0, size)).ok());
    }
  }
}

TEST_CASE("channel binding: a signature without a hash binds nothing") {
  const Key key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  CHECK_FALSE(server_end_point(certificate(key, nullptr)).ok());
}

TEST_CASE("channel binding: what fails leaves no error behind for others to find") {
  CHECK_FALSE(server_end_point("no certificate").ok());
  CHECK(ERR_peek_error() == 0);
}

}  // namespace
}  // namespace crossfade::postgres
