// What an operator says about TLS, as plain values: towards servers, and on ports of the sidecar.
//
// A PEM is given as the path of a file, or as its text. Files are read again on SIGHUP; texts may
// be secrets, and nothing prints them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace crossfade {

// How a server is to be reached, as libpq's sslmode has it.
enum class TlsMode : std::uint8_t {
  Disable,
  Prefer,     // TLS where the server offers it; only protocols that negotiate it have this
  Require,    // TLS; the certificate is verified when there is a CA to do it with
  VerifyCa,   // ... and must be signed by a trusted CA
  VerifyFull  // ... and be the certificate of that host
};
constexpr const char* name_of(TlsMode mode) {
  switch (mode) {
    case TlsMode::Disable:
      return "disable";
    case TlsMode::Prefer:
      return "prefer";
    case TlsMode::Require:
      return "require";
    case TlsMode::VerifyCa:
      return "verify-ca";
    case TlsMode::VerifyFull:
      return "verify-full";
  }
  return "disable";
}

struct TlsClientSettings {
  TlsMode mode = TlsMode::Disable;
  std::string ca_cert = {};  // PEM; empty: the CAs of the system, where the mode verifies
  std::string cert = {};     // PEM, our own, with its chain; empty: none
  std::string key = {};      // PEM
  std::string domain = {};   // the server's name in SNI and its certificate; empty: the host

  bool operator==(const TlsClientSettings&) const = default;
};

struct TlsServerSettings {
  std::string server_cert = {};     // PEM, with its chain; empty: no TLS
  std::string server_key = {};      // PEM
  std::string client_ca_cert = {};  // PEM; empty: no client is asked for a certificate
  bool require_client_certificate = false;
  bool require_tls = false;  // only protocols that begin in plain text ask: PostgreSQL's

  // Whether who does not ask for TLS is turned away: it could show no certificate either.
  bool refuses_plain() const { return require_tls || require_client_certificate; }
  bool on() const { return !server_cert.empty(); }
  bool operator==(const TlsServerSettings&) const = default;
};

// Settings, and what was made of them. Equal when the settings are: what is loaded may change.
template <class Settings, class End>
struct TlsEnd {
  Settings settings = {};
  std::shared_ptr<End> end = {};  // null: no TLS

  explicit operator bool() const { return end != nullptr; }
  bool operator==(const TlsEnd& other) const { return settings == other.settings; }
};
using ServerTls = TlsEnd<TlsClientSettings, class TlsClient>;  // of a server that is reached
using PortTls = TlsEnd<TlsServerSettings, class TlsServer>;    // of a port that is served

// True for the text of a PEM, false for the path of a file.
constexpr bool is_pem_text(std::string_view source) {
  return source.find("-----BEGIN ") != source.npos;
}

}  // namespace crossfade
