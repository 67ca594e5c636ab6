// Taking a postgresql:// URL apart.
#include "control/definitions/postgres_url.h"

#include "control/definitions/url.h"

namespace crossfade {

namespace {

Error bad(const char* reason) { return Error{Errc::BadInput, "", reason}; }

// sslmode=disable and nothing else.
const char* objection_to(std::string_view query) {
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view one = query.substr(0, end);
    query.remove_prefix(end == query.npos ? query.size() : end + 1);
    if (!one.starts_with("sslmode=")) return "has a parameter other than sslmode";
    if (one != "sslmode=disable" && one != "sslmode=prefer" && one != "sslmode=allow") {
      return "asks for TLS, which this version does not speak: use sslmode=disable";
    }
  }
  return nullptr;
}

}  // namespace

Result<EndpointAddress> parse_postgres_url(std::string_view url) {
  const std::size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  if (scheme_end == url.npos || (scheme != "postgresql" && scheme != "postgres")) {
    return bad("must begin with postgresql://");
  }
  const char* why = nullptr;
  auto parts = parse_url_parts(url.substr(scheme_end + 3), why);
  if (!parts) return bad(why);
  if (const char* objection = objection_to(parts->query.value_or(""))) return bad(objection);
  if (parts->host.find(',') != std::string::npos) return bad("must name one host");
  EndpointAddress address;
  address.kind = EndpointKind::Postgres;
  address.host = std::move(parts->host);
  address.port = parts->port.value_or(kPostgresPort);
  address.username = std::move(parts->user);
  address.password = parts->password.value_or("");
  address.database = std::move(parts->path);
  return address;
}

}  // namespace crossfade
