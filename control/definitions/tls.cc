// Reading and rendering "tls".
#include "control/definitions/tls.h"

#include <algorithm>
#include <optional>

#include "control/definitions/endpoint.h"
#include "control/json/fields.h"

namespace crossfade {

namespace {

constexpr std::size_t kSourceMax = 256u << 10;  // bytes of a path, or of a PEM given as text
constexpr std::size_t kHostNameMax = 253;       // bytes of a host name

// A path or a text; null takes it away, and what a GET shows of a secret leaves it.
void read_source(Fields& fields, const char* name, std::string& into) {
  const Json* given = fields.optional(name);
  if (given != nullptr && given->is_null()) into.clear();
  const auto text = fields.string(name, kSourceMax);
  if (!text || *text == kHidden) return;
  if (text->find('\0') != text->npos) fields.complain(name, "must hold no zero byte");
  into = *text;
}

void check_pair(Fields& fields, const char* cert_name, const std::string& cert,
                const char* key_name, const std::string& key) {
  if (cert.empty() && !key.empty()) fields.complain(cert_name, "is required with its key");
  if (key.empty() && !cert.empty()) fields.complain(key_name, "is required with its certificate");
}

std::optional<TlsMode> tls_mode_named(const std::string& name) {
  for (const TlsMode mode : {TlsMode::Disable, TlsMode::Prefer, TlsMode::Require, TlsMode::VerifyCa,
                             TlsMode::VerifyFull}) {
    if (name == name_of(mode)) return mode;
  }
  return std::nullopt;
}

bool insecure(const TlsClientSettings& settings) {
  return settings.mode == TlsMode::Require && settings.ca_cert.empty();
}

// Whoever says something of TLS and not in which mode means the strict one: `prefer` has to be
// said.
bool unsaid(TlsMode mode) { return mode == TlsMode::Disable || mode == TlsMode::Prefer; }

void read_mode(Fields& fields, Negotiation negotiation, TlsClientSettings& settings) {
  if (unsaid(settings.mode)) settings.mode = TlsMode::VerifyFull;
  const auto name = fields.string("mode", kIdMax);
  if (name) {
    const auto mode = tls_mode_named(*name);
    if (!mode) {
      fields.complain("mode", "must be disable, prefer, require, verify-ca or verify-full");
    } else if (*mode == TlsMode::Prefer && negotiation == Negotiation::None) {
      fields.complain("mode",
                      "prefer needs a protocol that asks the server whether it speaks TLS, and "
                      "Redis' does not: say disable or require");
    }
    settings.mode = mode.value_or(settings.mode);
  }
  const auto given = fields.boolean("insecure");
  if (!given) return;
  if (*given && !name) settings.mode = TlsMode::Require;
  if (!*given && !name && insecure(settings)) settings.mode = TlsMode::VerifyFull;
  if (settings.mode != TlsMode::Disable && *given != insecure(settings)) {
    fields.complain("insecure", *given ? "contradicts mode or ca_cert, which verify the server"
                                       : "contradicts mode, which does not verify the server");
  }
}

bool plain_name(const std::string& name) {
  return std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7f;
  });
}

Result<TlsClientSettings> read_client_members(const Json& json, const std::string& path,
                                              TlsClientSettings settings, Negotiation negotiation) {
  Fields fields(json, path);
  read_source(fields, "ca_cert", settings.ca_cert);
  read_source(fields, "cert", settings.cert);
  read_source(fields, "key", settings.key);
  check_pair(fields, "cert", settings.cert, "key", settings.key);
  const Json* domain = fields.optional("domain");
  if (domain != nullptr && domain->is_null()) settings.domain.clear();
  if (const auto name = fields.string("domain", kHostNameMax)) {
    if (!plain_name(*name)) fields.complain("domain", "must be a host name or an address");
    settings.domain = *name;
  }
  read_mode(fields, negotiation, settings);
  if (auto error = fields.finish()) return *error;
  if (settings.mode == TlsMode::Disable) return TlsClientSettings{};
  return settings;
}

Json shown(const std::string& source, bool secret, Secrets secrets) {
  if (source.empty()) return Json();
  if (secret && secrets == Secrets::Hidden && is_pem_text(source)) return kHidden;
  return source;
}

template <class Tls>
Status load(const Tls& tls, const std::string& path) {
  if (!tls) return success();
  const auto loaded = tls.end->load();
  if (loaded) return success();
  return error_at(join_path(path, loaded.error().doing), loaded.error().reason);
}

}  // namespace

Result<ServerTls> read_server_tls(const Json& json, const std::string& path,
                                  const ServerTls& current, Negotiation negotiation) {
  if (json.is_null()) return ServerTls{};
  TlsClientSettings settings = current.settings;
  if (const bool* on = json.boolean()) {
    if (!*on) return ServerTls{};
    if (unsaid(settings.mode)) settings.mode = TlsMode::VerifyFull;
  } else if (json.members() == nullptr) {
    return error_at(path, std::string("must be true, false or an object, is ") + json.sort());
  } else {
    auto read = read_client_members(json, path, std::move(settings), negotiation);
    if (!read) return read.error();
    settings = std::move(*read);
  }
  return settings == current.settings ? current : make_tls(std::move(settings));
}

Result<PortTls> read_port_tls(const Json& json, const std::string& path, const PortTls& current) {
  if (json.is_null() || (json.boolean() != nullptr && !*json.boolean())) return PortTls{};
  if (json.members() == nullptr) {
    return error_at(path, "must be false, or an object that names server_cert and server_key");
  }
  Fields fields(json, path);
  TlsServerSettings settings = current.settings;
  read_source(fields, "server_cert", settings.server_cert);
  read_source(fields, "server_key", settings.server_key);
  if (settings.server_cert.empty()) fields.complain("server_cert", "is required");
  check_pair(fields, "server_cert", settings.server_cert, "server_key", settings.server_key);
  const bool knew_clients = !settings.client_ca_cert.empty();
  read_source(fields, "client_ca_cert", settings.client_ca_cert);
  const bool knows_clients = !settings.client_ca_cert.empty();
  if (knows_clients != knew_clients) settings.require_client_certificate = knows_clients;
  settings.require_client_certificate =
      fields.boolean("require_client_certificate").value_or(settings.require_client_certificate);
  settings.require_tls = fields.boolean("require_tls").value_or(settings.require_tls);
  if (settings.require_client_certificate && !knows_clients) {
    fields.complain("client_ca_cert", "is required with require_client_certificate");
  }
  if (auto error = fields.finish()) return *error;
  return settings == current.settings ? current : make_tls(std::move(settings));
}

Json render(const ServerTls& tls, Secrets secrets) {
  if (!tls) return false;
  const TlsClientSettings& settings = tls.settings;
  return Json::object({{"mode", name_of(settings.mode)},
                       {"insecure", insecure(settings)},
                       {"ca_cert", shown(settings.ca_cert, false, secrets)},
                       {"cert", shown(settings.cert, false, secrets)},
                       {"key", shown(settings.key, true, secrets)},
                       {"domain", settings.domain.empty() ? Json() : Json(settings.domain)}});
}

Json render(const PortTls& tls, Secrets secrets) {
  if (!tls) return Json();
  const TlsServerSettings& settings = tls.settings;
  return Json::object({{"server_cert", shown(settings.server_cert, false, secrets)},
                       {"server_key", shown(settings.server_key, true, secrets)},
                       {"client_ca_cert", shown(settings.client_ca_cert, false, secrets)},
                       {"require_client_certificate", settings.require_client_certificate},
                       {"require_tls", settings.require_tls}});
}

Status load_tls(const ServerTls& tls, const std::string& path) { return load(tls, path); }
Status load_tls(const PortTls& tls, const std::string& path) { return load(tls, path); }

}  // namespace crossfade
