// The certificate's hash, by OpenSSL.
#include "protocols/postgres/channel_binding.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>

#include <array>
#include <memory>

namespace crossfade::postgres {
namespace {

struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using Certificate = std::unique_ptr<X509, FreeCertificate>;

Error bad(const char* reason) { return {Errc::BadInput, "hash a certificate", reason}; }

Result<std::string> hash_of(std::string_view der) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(der.data());
  const Certificate certificate(d2i_X509(nullptr, &bytes, static_cast<long>(der.size())));
  if (certificate == nullptr) return bad("it is no X.509 certificate");
  int hash = NID_undef;
  if (X509_get_signature_info(certificate.get(), &hash, nullptr, nullptr, nullptr) != 1 ||
      hash == NID_undef) {
    return bad("its signature has no hash");
  }
  if (hash == NID_md5 || hash == NID_sha1) hash = NID_sha256;
  const EVP_MD* const method = EVP_get_digestbynid(hash);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest;
  unsigned int size = 0;
  if (method == nullptr || X509_digest(certificate.get(), method, digest.data(), &size) != 1) {
    return bad("the hash of its signature is not known");
  }
  return std::string(reinterpret_cast<const char*>(digest.data()), size);
}

}  // namespace

Result<std::string> server_end_point(std::string_view der) {
  // What fails here must not be found by the TLS of another connection of this thread.
  ERR_set_mark();
  Result<std::string> hash = hash_of(der);
  ERR_pop_to_mark();
  return hash;
}

}  // namespace crossfade::postgres
