// What OpenSSL says went wrong, in words for an operator; never a secret.
#pragma once

#include <string>

struct ssl_st;

namespace crossfade {

// The words of this thread's last error, and none are left; `otherwise` when there is none.
std::string tls_words(const char* otherwise);

// The same for a connection: where a certificate was not believed, why.
std::string tls_words(const ssl_st* connection, const char* otherwise);

}  // namespace crossfade
