// Reading OpenSSL's error queue.
#include "tls/words.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace crossfade {

std::string tls_words(const char* otherwise) {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return otherwise;
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : otherwise;
}

std::string tls_words(const ssl_st* connection, const char* otherwise) {
  std::string words = tls_words(otherwise);
  const long verified = SSL_get_verify_result(connection);
  if (verified == X509_V_OK || words.find("certificate verify failed") == words.npos) return words;
  return words + ": " + X509_verify_cert_error_string(verified);
}

}  // namespace crossfade
