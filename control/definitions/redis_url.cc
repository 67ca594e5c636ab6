// Taking a redis:// or rediss:// URL apart.
#include "control/definitions/redis_url.h"

#include <charconv>

#include "control/definitions/url.h"
#include "tls/context.h"

namespace crossfade {

namespace {}  // namespace

Result<EndpointAddress> parse_redis_url(std::string_view url) {
  const std::size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  const bool tls = scheme == "rediss";
  if (scheme_end == url.npos || (scheme != "redis" && !tls)) {
    return bad_url("must begin with redis:// or rediss://");
  }
  const char* why = nullptr;
  auto parts = parse_url_parts(url.substr(scheme_end + 3), why);
  if (!parts) return bad_url(why);
  if (parts->query) return bad_url("must have no query and no fragment");
  EndpointAddress address;
  if (tls) address.tls = make_tls({.mode = TlsMode::VerifyFull});
  address.host = std::move(parts->host);
  address.port = parts->port.value_or(address.port);
  address.username = std::move(parts->user);
  address.password = parts->password.value_or("");
  if (address.password.empty() && !address.username.empty()) {
    return bad_url("has a user without a password");
  }
  if (const std::string& db = parts->path; !db.empty()) {
    const auto [end, code] = std::from_chars(db.data(), db.data() + db.size(), address.db);
    if (code != std::errc{} || end != db.data() + db.size() || address.db > kDatabaseMax) {
      return bad_url("has no valid database number after the host");
    }
  }
  return address;
}

}  // namespace crossfade
