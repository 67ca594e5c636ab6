// OpenSSL between two pieces of memory: a BIO that reads what was taken and appends what is sent.
#include "tls/engine.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <limits>

#include "tls/words.h"

namespace crossfade {

struct TlsEngineWire {
  static int read(BIO* bio, char* into, std::size_t size, std::size_t* got) {
    auto& engine = *static_cast<TlsEngine*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    *got = std::min(size, engine.wire_in_.size());
    if (*got == 0) {
      BIO_set_retry_read(bio);
      return 0;
    }
    std::memcpy(into, engine.wire_in_.data(), *got);
    engine.wire_in_.remove_prefix(*got);
    return 1;
  }

  static int write(BIO* bio, const char* from, std::size_t size, std::size_t* put) {
    auto& engine = *static_cast<TlsEngine*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    engine.wire_out_->append(from, size);
    *put = size;
    return 1;
  }

  static long control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

  static int create(BIO* bio) {
    BIO_set_init(bio, 1);
    return 1;
  }

  // Made once, and never freed: connections may outlive everything else.
  static const BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "crossfade");
      BIO_meth_set_read_ex(method, read);
      BIO_meth_set_write_ex(method, write);
      BIO_meth_set_ctrl(method, control);
      BIO_meth_set_create(method, create);
      return method;
    }();
    return made;
  }
};

TlsEngine::TlsEngine(TlsHandle handle, Role role) : handle_(std::move(handle)), role_(role) {
  ssl_st* const ssl = handle_.ssl.get();
  BIO* const bio = BIO_new(TlsEngineWire::method());
  BIO_set_data(bio, this);
  SSL_set_bio(ssl, bio, bio);
  if (role == Role::Client) {
    SSL_set_connect_state(ssl);
  } else {
    SSL_set_accept_state(ssl);
  }
}

void TlsEngine::begin_call(std::string& wire) {
  ERR_clear_error();
  wire_out_ = &wire;
}

TlsEngine::Step TlsEngine::handshake(std::string& wire) {
  begin_call(wire);
  const int result = SSL_do_handshake(handle_.ssl.get());
  if (result == 1) return Step::Done;
  if (SSL_get_error(handle_.ssl.get(), result) == SSL_ERROR_WANT_READ) return Step::Going;
  why_ = tls_words(handle_.ssl.get(), "the handshake failed");
  return Step::Failed;
}

TlsEngine::Read TlsEngine::read(std::span<char> plain, std::string& wire) {
  begin_call(wire);
  std::size_t size = 0;
  for (;;) {
    std::size_t got = 0;
    if (SSL_read_ex(handle_.ssl.get(), plain.data() + size, plain.size() - size, &got) == 1) {
      size += got;
      assert(size < plain.size());
      continue;
    }
    switch (SSL_get_error(handle_.ssl.get(), 0)) {
      case SSL_ERROR_WANT_READ:
        return {size, After::More};
      case SSL_ERROR_ZERO_RETURN:
        return {size, After::Closed};
      default:
        why_ = tls_words(handle_.ssl.get(), "the connection is broken");
        return {size, After::Failed};
    }
  }
}

bool TlsEngine::write(std::string_view plain, std::string& wire) {
  begin_call(wire);
  while (!plain.empty()) {
    std::size_t put = 0;
    if (SSL_write_ex(handle_.ssl.get(), plain.data(), plain.size(), &put) != 1) {
      why_ = tls_words(handle_.ssl.get(), "nothing can be sent any more");
      return false;
    }
    plain.remove_prefix(put);
  }
  return true;
}

void TlsEngine::close_notify(std::string& wire) {
  if ((SSL_get_shutdown(handle_.ssl.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  begin_call(wire);
  SSL_shutdown(handle_.ssl.get());
  ERR_clear_error();
}

bool TlsEngine::resumed() const { return SSL_session_reused(handle_.ssl.get()) == 1; }

std::string_view TlsEngine::alpn() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(handle_.ssl.get(), &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::string TlsEngine::end_point() const {
  const X509* certificate = role_ == Role::Server ? SSL_get_certificate(handle_.ssl.get())
                                                  : SSL_get0_peer_certificate(handle_.ssl.get());
  if (certificate == nullptr) return {};
  int digest_id = NID_undef;
  OBJ_find_sigid_algs(X509_get_signature_nid(certificate), &digest_id, nullptr);
  if (digest_id == NID_undef || digest_id == NID_md5 || digest_id == NID_sha1) {
    digest_id = NID_sha256;
  }
  std::string hash(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  if (X509_digest(certificate, EVP_get_digestbynid(digest_id),
                  reinterpret_cast<unsigned char*>(hash.data()), &size) != 1) {
    return {};
  }
  hash.resize(size);
  return hash;
}

}  // namespace crossfade
