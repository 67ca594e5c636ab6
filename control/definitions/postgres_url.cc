// Taking a postgresql:// URL apart.
#include "control/definitions/postgres_url.h"

#include <optional>
#include <string>
#include <utility>

#include "control/definitions/url.h"
#include "tls/context.h"

namespace crossfade {

namespace {

std::optional<TlsMode> ssl_mode_named(std::string_view name) {
  // To try without TLS first would tell the server more in plain text than `prefer` does.
  if (name == "allow") return TlsMode::Prefer;
  for (const TlsMode mode : {TlsMode::Disable, TlsMode::Prefer, TlsMode::Require, TlsMode::VerifyCa,
                             TlsMode::VerifyFull}) {
    if (name == name_of(mode)) return mode;
  }
  return std::nullopt;
}

// A setting of TLS; what it is set to goes to `tls`.
const char* read_parameter(std::string_view name, std::string value, TlsClientSettings& tls) {
  if (name == "sslmode") {
    const auto mode = ssl_mode_named(value);
    if (!mode) {
      return "has an sslmode other than disable, allow, prefer, require, verify-ca and verify-full";
    }
    tls.mode = *mode;
  } else if (name == "sslrootcert") {
    // libpq's word for the CAs of the system, which are meant here where none are named.
    tls.ca_cert = value == "system" ? std::string() : std::move(value);
  } else if (name == "sslcert") {
    tls.cert = std::move(value);
  } else if (name == "sslkey") {
    tls.key = std::move(value);
  } else {
    return "has a parameter other than sslmode, sslrootcert, sslcert and sslkey";
  }
  return nullptr;
}

const char* read_query(std::string_view query, TlsClientSettings& tls) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view one = query.substr(0, end);
    query.remove_prefix(end == query.npos ? query.size() : end + 1);
    const std::size_t equals = one.find('=');
    auto value = percent_decode(equals == one.npos ? "" : one.substr(equals + 1));
    if (!value) return "has a broken percent-encoding";
    if (const char* why = read_parameter(one.substr(0, equals), std::move(*value), tls)) return why;
  }
  return tls.cert.empty() == tls.key.empty() ? nullptr : "names one of sslcert and sslkey only";
}

}  // namespace

Result<EndpointAddress> parse_postgres_url(std::string_view url) {
  const std::size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme_end == url.npos || (scheme != "postgresql" && scheme != "postgres")) {
    return bad_url("must begin with postgresql://");
  }
  const char* why = nullptr;
  auto parts = parse_url_parts(url.substr(scheme_end + 3), why);
  if (!parts) return bad_url(why);
  TlsClientSettings tls{.mode = TlsMode::Prefer};
  if (const char* wrong = read_query(parts->query.value_or(""), tls)) return bad_url(wrong);
  if (parts->host.find(',') != std::string::npos) return bad_url("must name one host");
  EndpointAddress address;
  address.kind = EndpointKind::Postgres;
  address.host = std::move(parts->host);
  address.port = parts->port.value_or(kPostgresPort);
  address.username = std::move(parts->user);
  address.password = parts->password.value_or("");
  address.database = std::move(parts->path);
  address.tls = make_tls(std::move(tls));
  return address;
}

}  // namespace crossfade
