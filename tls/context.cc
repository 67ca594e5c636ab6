// OpenSSL contexts for both ends, and the tickets that clients keep.
#include "tls/context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "tls/pem.h"
#include "tls/words.h"

namespace crossfade {

namespace {

using ContextPtr = std::unique_ptr<ssl_ctx_st, FreeTls>;

constexpr std::string_view kSessionContext = "crossfade";

// The setting at fault, and what is wrong with it.
Error at(const char* setting, std::string reason) {
  return Error{Errc::BadInput, setting, std::move(reason)};
}

Error not_loaded(const std::string& why) {
  return Error{Errc::BadConfig, "", "TLS can not be spoken: " + why};
}

// One PEM of the settings: what it is called, where it is, its text once that was read.
struct Pem {
  const char* setting;
  const std::string& source;
  std::string text = {};
};

Status read_all(std::initializer_list<Pem*> pems) {
  for (Pem* pem : pems) {
    if (pem->source.empty()) continue;
    auto text = read_pem(pem->source);
    if (!text) return at(pem->setting, text.error().reason);
    pem->text = std::move(*text);
  }
  return success();
}

std::string digest_of(std::initializer_list<Pem*> pems) {
  std::string all;
  for (const Pem* pem : pems) all.append(pem->text).push_back('\0');
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  EVP_Digest(all.data(), all.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
             EVP_sha256(), nullptr);
  digest.resize(size);
  return digest;
}

ContextPtr make_context(const SSL_METHOD* method) {
  ContextPtr context(SSL_CTX_new(method));
  if (context == nullptr) return context;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  // A peer that just closes has cut nothing off that a protocol of ours would take for whole.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Idle connections keep no buffers; a write may be tried again from another place.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

// Puts the result of use_chain() and the like under the name of its setting.
Status named(const Pem& pem, const Status& status) {
  return status ? success() : Status(at(pem.setting, status.error().reason));
}

Status use_certificate(ssl_ctx_st* context, const Pem& chain, const Pem& key) {
  if (Status used = named(chain, use_chain(context, chain.text)); !used) return used;
  return named(key, use_key(context, key.text));
}

bool verifies(const TlsClientSettings& settings) {
  switch (settings.mode) {
    case TlsMode::Disable:
      return false;
    case TlsMode::Prefer:
    case TlsMode::Require:
      return !settings.ca_cert.empty();  // as libpq has it
    case TlsMode::VerifyCa:
    case TlsMode::VerifyFull:
      return true;
  }
  return true;
}

// The server must prove to be that host.
bool expect_host(ssl_st* connection, const std::string& host) {
  if (is_numeric_host(host)) {
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection), host.c_str()) == 1;
  }
  SSL_set_hostflags(connection, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(connection, host.c_str()) == 1;
}

bool offer_alpn(ssl_st* connection, std::string_view alpn) {
  if (alpn.empty()) return true;
  const std::string wire = static_cast<char>(alpn.size()) + std::string(alpn);
  return SSL_set_alpn_protos(connection, reinterpret_cast<const unsigned char*>(wire.data()),
                             static_cast<unsigned>(wire.size())) == 0;
}

// Of what a client offers, what this connection was begun for.
int select_alpn(ssl_st* connection, const unsigned char** out, unsigned char* out_size,
                const unsigned char* offered, unsigned offered_size, void*) {
  const std::string_view wanted = static_cast<const char*>(SSL_get_app_data(connection));
  if (wanted.empty()) return SSL_TLSEXT_ERR_NOACK;
  for (unsigned at = 0; at < offered_size; at += 1u + offered[at]) {
    const std::string_view name(reinterpret_cast<const char*>(offered) + at + 1, offered[at]);
    if (name != wanted) continue;
    *out = offered + at + 1;
    *out_size = offered[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

}  // namespace

void FreeTls::operator()(ssl_st* connection) const noexcept {
  // Otherwise OpenSSL would take its session for broken, and not resume it.
  SSL_set_shutdown(connection, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
  SSL_free(connection);
}
void FreeTls::operator()(ssl_ctx_st* context) const noexcept { SSL_CTX_free(context); }
void FreeTls::operator()(ssl_session_st* session) const noexcept { SSL_SESSION_free(session); }

std::unique_ptr<ssl_st, FreeTls> TlsSlot::begin(std::string& why) const {
  const std::lock_guard lock(mutex_);
  if (context_ == nullptr) {
    why = why_;
    return nullptr;
  }
  ERR_clear_error();
  std::unique_ptr<ssl_st, FreeTls> connection(SSL_new(context_.get()));
  if (connection == nullptr) why = tls_words("no memory");
  return connection;
}

void TlsSlot::put(std::unique_ptr<ssl_ctx_st, FreeTls> context, std::string digest) {
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  digest_ = std::move(digest);
}

void TlsSlot::fail(const std::string& why) {
  const std::lock_guard lock(mutex_);
  why_ = why;
}

bool TlsSlot::holds(const std::string& digest) const {
  const std::lock_guard lock(mutex_);
  return context_ != nullptr && digest_ == digest;
}

bool is_numeric_host(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> parsed;
  return inet_pton(AF_INET, host.c_str(), parsed.data()) == 1 ||
         inet_pton(AF_INET6, host.c_str(), parsed.data()) == 1;
}

namespace {

Result<ContextPtr> client_context(const TlsClientSettings& settings, const Pem& ca, const Pem& cert,
                                  const Pem& key) {
  ContextPtr context = make_context(TLS_client_method());
  if (context == nullptr) return at("mode", tls_words("no memory"));
  if (!ca.source.empty()) {
    if (Status trusted = named(ca, trust(context.get(), ca.text)); !trusted) return trusted.error();
  } else if (verifies(settings)) {
    SSL_CTX_set_default_verify_paths(context.get());
  }
  if (!cert.source.empty()) {
    if (Status used = use_certificate(context.get(), cert, key); !used) return used.error();
  }
  SSL_CTX_set_verify(context.get(), verifies(settings) ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                     nullptr);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  return context;
}

Result<ContextPtr> server_context(const TlsServerSettings& settings, const Pem& cert,
                                  const Pem& key, const Pem& ca) {
  ContextPtr context = make_context(TLS_server_method());
  if (context == nullptr) return at("server_cert", tls_words("no memory"));
  if (Status used = use_certificate(context.get(), cert, key); !used) return used.error();
  if (!ca.source.empty()) {
    if (Status trusted = named(ca, trust(context.get(), ca.text)); !trusted) return trusted.error();
    if (Status told = named(ca, announce_trusted(context.get(), ca.text)); !told) {
      return told.error();
    }
    const int forced = settings.require_client_certificate ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | forced, nullptr);
  }
  SSL_CTX_set_options(context.get(), SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Sessions live in tickets alone: nothing is kept here, and every loop can resume them.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_session_id_context(context.get(),
                                 reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                 static_cast<unsigned>(kSessionContext.size()));
  SSL_CTX_set_alpn_select_cb(context.get(), select_alpn, nullptr);
  return context;
}

}  // namespace

ServerTls make_tls(TlsClientSettings settings) {
  ServerTls tls{std::move(settings)};
  if (tls.settings.mode != TlsMode::Disable) tls.end = std::make_shared<TlsClient>(tls.settings);
  return tls;
}

PortTls make_tls(TlsServerSettings settings) {
  PortTls tls{std::move(settings)};
  if (tls.settings.on()) tls.end = std::make_shared<TlsServer>(tls.settings);
  return tls;
}

Result<TlsLoad> TlsClient::load() {
  Pem ca{"ca_cert", settings_.ca_cert};
  Pem cert{"cert", settings_.cert};
  Pem key{"key", settings_.key};
  const auto failed = [this](const Error& error) {
    slot_.fail(error.doing + ": " + error.reason);
    return error;
  };
  if (Status read = read_all({&ca, &cert, &key}); !read) return failed(read.error());
  std::string digest = digest_of({&ca, &cert, &key});
  if (slot_.holds(digest)) return TlsLoad::AsBefore;
  auto context = client_context(settings_, ca, cert, key);
  if (!context) return failed(context.error());
  SSL_CTX_sess_set_new_cb(context->get(), keep_session);
  {
    const std::lock_guard lock(mutex_);
    last_session_.reset();  // what was verified with the former CA is verified anew
  }
  slot_.put(std::move(*context), std::move(digest));
  return TlsLoad::New;
}

Result<TlsHandle> TlsClient::begin(const std::string& host, std::string_view alpn) {
  std::string why;
  TlsHandle handle{shared_from_this(), slot_.begin(why)};
  if (handle.ssl == nullptr) return not_loaded(why);
  ssl_st* const connection = handle.ssl.get();
  const std::string& name = settings_.domain.empty() ? host : settings_.domain;
  const bool named_right =
      (is_numeric_host(name) || SSL_set_tlsext_host_name(connection, name.c_str()) == 1) &&
      (settings_.mode != TlsMode::VerifyFull || expect_host(connection, name)) &&
      offer_alpn(connection, alpn);
  if (!named_right) return not_loaded(tls_words("its host has no name that TLS knows"));
  SSL_set_app_data(connection, this);
  const std::lock_guard lock(mutex_);
  if (last_host_ != name) {
    last_session_.reset();
    last_host_ = name;
  }
  // A session of a context that was exchanged meanwhile is not taken, and does no harm.
  if (last_session_ != nullptr) SSL_set_session(connection, last_session_.get());
  return handle;
}

// Called by OpenSSL whenever a server gives out a ticket; the last one is the one to use.
int TlsClient::keep_session(ssl_st* connection, ssl_session_st* session) {
  auto* const self = static_cast<TlsClient*>(SSL_get_app_data(connection));
  const std::lock_guard lock(self->mutex_);
  self->last_session_.reset(session);
  return 1;  // the reference is ours
}

Result<TlsLoad> TlsServer::load() {
  Pem cert{"server_cert", settings_.server_cert};
  Pem key{"server_key", settings_.server_key};
  Pem ca{"client_ca_cert", settings_.client_ca_cert};
  const auto failed = [this](const Error& error) {
    slot_.fail(error.doing + ": " + error.reason);
    return error;
  };
  if (Status read = read_all({&cert, &key, &ca}); !read) return failed(read.error());
  std::string digest = digest_of({&cert, &key, &ca});
  if (slot_.holds(digest)) return TlsLoad::AsBefore;
  auto context = server_context(settings_, cert, key, ca);
  if (!context) return failed(context.error());
  slot_.put(std::move(*context), std::move(digest));
  return TlsLoad::New;
}

Result<TlsHandle> TlsServer::begin(const char* alpn) {
  std::string why;
  TlsHandle handle{shared_from_this(), slot_.begin(why)};
  if (handle.ssl == nullptr) return not_loaded(why);
  SSL_set_app_data(handle.ssl.get(), const_cast<char*>(alpn));
  return handle;
}

}  // namespace crossfade
