// The two ends of TLS with what they have read: TlsClient reaches one server, TlsServer serves one
// port. Each begins handshakes.
//
//   load()    reads the PEMs, at first and on SIGHUP: what is wrong leaves in use what was there
//   begin()   any thread: one handshake with what is loaded now; those under way, and connections
//             that stand, keep what they began with
//
// They are the only things in a routing table that change: their settings never do. TLS 1.2 and
// 1.3; no renegotiation, no compression. Sessions are resumed by tickets, which end with what they
// were given out under.
//
// Knows nothing of sockets.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "protocols/base/result.h"
#include "tls/settings.h"

struct ssl_st;
struct ssl_ctx_st;
struct ssl_session_st;

namespace crossfade {

struct FreeTls {
  void operator()(ssl_st* connection) const noexcept;
  void operator()(ssl_ctx_st* context) const noexcept;
  void operator()(ssl_session_st* session) const noexcept;
};

// One handshake and the connection it leads to; keeps alive what it began with.
struct TlsHandle {
  std::shared_ptr<void> end;  // the TlsClient or TlsServer; goes last
  std::unique_ptr<ssl_st, FreeTls> ssl;
};

// What became of load().
enum class TlsLoad : std::uint8_t { New, AsBefore };

// A context that can be exchanged under those that use it.
class TlsSlot {
 public:
  // Null with the reason in `why`.
  std::unique_ptr<ssl_st, FreeTls> begin(std::string& why) const;
  void put(std::unique_ptr<ssl_ctx_st, FreeTls> context, std::string digest);
  void fail(const std::string& why);  // remembered until something is loaded
  bool holds(const std::string& digest) const;

 private:
  mutable std::mutex mutex_;
  std::unique_ptr<ssl_ctx_st, FreeTls> context_;
  std::string digest_;  // SHA-256 of the PEMs
  std::string why_ = "its certificates are not loaded";
};

class TlsClient : public std::enable_shared_from_this<TlsClient> {
 public:
  explicit TlsClient(TlsClientSettings settings) : settings_(std::move(settings)) {}
  const TlsClientSettings& settings() const { return settings_; }

  //   errors  BadInput; `doing` is the name of the setting that is at fault
  Result<TlsLoad> load();

  // A handshake with that host, which offers to resume the last session with it.
  //   alpn    one protocol, or empty; static text
  //   errors  BadConfig: nothing could be loaded
  Result<TlsHandle> begin(const std::string& host, std::string_view alpn = {});

 private:
  static int keep_session(ssl_st* connection, ssl_session_st* session);

  const TlsClientSettings settings_;
  TlsSlot slot_;
  std::mutex mutex_;
  std::unique_ptr<ssl_session_st, FreeTls> last_session_;  // guarded by mutex_
  std::string last_host_;                                  // guarded by mutex_
};

class TlsServer : public std::enable_shared_from_this<TlsServer> {
 public:
  explicit TlsServer(TlsServerSettings settings) : settings_(std::move(settings)) {}
  const TlsServerSettings& settings() const { return settings_; }

  //   errors  as above
  Result<TlsLoad> load();

  // Awaits a client's handshake.
  //   alpn    a client that names protocols must name this one; empty: they are not looked at.
  //           Static, null-terminated text
  //   errors  as above
  Result<TlsHandle> begin(const char* alpn = "");

 private:
  const TlsServerSettings settings_;
  TlsSlot slot_;
};

// With an end of its own, nothing loaded yet; without one where the settings say so.
ServerTls make_tls(TlsClientSettings settings);
PortTls make_tls(TlsServerSettings settings);

// A number or a name, as a URL or a certificate has it.
bool is_numeric_host(const std::string& host);

}  // namespace crossfade
