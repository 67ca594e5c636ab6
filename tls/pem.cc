// Reading PEM with OpenSSL.
#include "tls/pem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "tls/settings.h"
#include "tls/words.h"

namespace crossfade {

namespace {

struct Free {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
using BioPtr = std::unique_ptr<BIO, Free>;
using X509Ptr = std::unique_ptr<X509, Free>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Free>;

Error bad(std::string reason) { return Error{Errc::BadInput, "", std::move(reason)}; }

BioPtr reader_of(std::string_view pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// OpenSSL would ask on the terminal otherwise.
int no_pass_phrase(char*, int, int, void*) { return -1; }

X509Ptr next_certificate(BIO* reader) {
  return X509Ptr(PEM_read_bio_X509(reader, nullptr, no_pass_phrase, nullptr));
}

// After the last certificate: was that the end of the text?
bool read_to_the_end() {
  const unsigned long code = ERR_peek_last_error();
  if (ERR_GET_LIB(code) != ERR_LIB_PEM || ERR_GET_REASON(code) != PEM_R_NO_START_LINE) return false;
  ERR_clear_error();
  return true;
}

// Calls take(certificate) for each; there must be one at least.
template <class Take>
Status for_each_certificate(std::string_view pem, Take&& take) {
  ERR_clear_error();
  const BioPtr reader = reader_of(pem);
  std::size_t count = 0;
  while (const X509Ptr certificate = next_certificate(reader.get())) {
    if (!take(certificate.get())) return bad(tls_words("a certificate is not usable"));
    ++count;
  }
  if (!read_to_the_end()) return bad("holds a broken certificate: " + tls_words("not readable"));
  if (count == 0) return bad("holds no certificate in PEM form");
  return success();
}

}  // namespace

Result<std::string> read_pem(const std::string& source) {
  if (is_pem_text(source)) return source;
  const std::unique_ptr<std::FILE, Free> file(std::fopen(source.c_str(), "rbe"));
  const auto unreadable = [&] {
    return bad("can not read " + source + ": " + std::strerror(errno));
  };
  if (file == nullptr) return unreadable();
  std::string text(kPemMax + 1, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  if (std::ferror(file.get()) != 0) return unreadable();
  if (text.size() > kPemMax) {
    return bad(source + " is larger than " + std::to_string(kPemMax) + " bytes");
  }
  return text;
}

Status use_chain(ssl_ctx_st* context, std::string_view pem) {
  bool first = true;
  return for_each_certificate(pem, [&](X509* certificate) {
    if (first) {
      first = false;
      return SSL_CTX_use_certificate(context, certificate) == 1;
    }
    return SSL_CTX_add1_chain_cert(context, certificate) == 1;
  });
}

Status use_key(ssl_ctx_st* context, std::string_view pem) {
  ERR_clear_error();
  const BioPtr reader = reader_of(pem);
  const KeyPtr key(PEM_read_bio_PrivateKey(reader.get(), nullptr, no_pass_phrase, nullptr));
  if (key == nullptr) {
    if (pem.find("ENCRYPTED") != pem.npos) {
      ERR_clear_error();
      return bad("is encrypted with a pass phrase: give one that is not");
    }
    if (pem.find("PRIVATE KEY-----") == pem.npos) {
      ERR_clear_error();
      return bad("holds no private key in PEM form");
    }
    return bad("holds a broken private key: " + tls_words("not readable"));
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return bad("is not the key of the certificate: " + tls_words("they do not fit"));
  }
  return success();
}

Status trust(ssl_ctx_st* context, std::string_view pem) {
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  return for_each_certificate(
      pem, [store](X509* certificate) { return X509_STORE_add_cert(store, certificate) == 1; });
}

Status announce_trusted(ssl_ctx_st* context, std::string_view pem) {
  return for_each_certificate(pem, [context](X509* certificate) {
    return SSL_CTX_add_client_CA(context, certificate) == 1;
  });
}

}  // namespace crossfade
