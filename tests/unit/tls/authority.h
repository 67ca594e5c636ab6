// A certificate authority of a test: certificates and keys as PEM text, made in memory.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

namespace crossfade::test {

struct FreeX509 {
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using Certificate = std::unique_ptr<X509, FreeX509>;
using Key = std::unique_ptr<EVP_PKEY, FreeX509>;

template <class Write>
std::string pem_of(Write&& write) {
  BIO* const bio = BIO_new(BIO_s_mem());
  write(bio);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  std::string pem(text, static_cast<std::size_t>(size));
  BIO_free(bio);
  return pem;
}

struct Issued {
  std::string cert;
  std::string key;
};

class Authority {
 public:
  explicit Authority(const std::string& name)
      : key_(EVP_EC_gen("P-256")), certificate_(make(name, "CA:TRUE", "", kDay, key_.get())) {}

  std::string cert() const { return pem_of_certificate(certificate_.get()); }

  // For a host name or, "IP:127.0.0.1", an address; valid for so many seconds from now.
  Issued issue(const std::string& alternative_name, long valid_s = kDay) const {
    const Key key(EVP_EC_gen("P-256"));
    const Certificate certificate = make("leaf", "CA:FALSE", alternative_name, valid_s, key.get());
    return {pem_of_certificate(certificate.get()), pem_of([&](BIO* bio) {
              PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
            })};
  }

 private:
  static constexpr long kDay = 86'400;

  static std::string pem_of_certificate(X509* certificate) {
    return pem_of([&](BIO* bio) { PEM_write_bio_X509(bio, certificate); });
  }

  static void extend(X509* certificate, int what, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str());
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  }

  // Signed by this authority; by itself while that has no certificate yet.
  Certificate make(const std::string& name, const std::string& constraints,
                   const std::string& alternative_name, long valid_s, EVP_PKEY* key) const {
    static long serial = 0;
    Certificate made(X509_new());
    X509_set_version(made.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made.get()), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made.get()), -kDay);
    X509_gmtime_adj(X509_getm_notAfter(made.get()), valid_s);
    X509_set_pubkey(made.get(), key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509* const issuer = certificate_ ? certificate_.get() : made.get();
    X509_set_issuer_name(made.get(), X509_get_subject_name(issuer));
    extend(made.get(), NID_basic_constraints, "critical," + constraints);
    if (!alternative_name.empty()) {
      extend(made.get(), NID_subject_alt_name, alternative_name);
    }
    X509_sign(made.get(), key_.get(), EVP_sha256());
    return made;
  }

  Key key_;
  Certificate certificate_;
};

}  // namespace crossfade::test
