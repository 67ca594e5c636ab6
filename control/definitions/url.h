// What the URLs of databases have in common: scheme://[user[:password]@]host[:port][/name][?query]
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/base/result.h"

namespace crossfade {

// The parts, decoded but for the query. Empty or nothing: not given.
struct UrlParts {
  std::string user;
  std::optional<std::string> password;
  std::string host;
  std::optional<std::uint16_t> port;
  std::string path;                       // without its slash
  std::optional<std::string_view> query;  // without its question mark; a view into the URL
};

// Takes apart what stands behind "scheme://". User, password and path are percent-decoded; IPv6
// hosts stand in brackets.
//   errors  nothing, and in `why` a static text that never quotes the URL, which may hold a
//   password
std::optional<UrlParts> parse_url_parts(std::string_view rest, const char*& why);

inline Error bad_url(const char* reason) { return Error{Errc::BadInput, "", reason}; }

// nullopt: broken encoding.
std::optional<std::string> percent_decode(std::string_view text);

// Percent-encodes what can not stand in the user or password part.
std::string percent_encode(std::string_view text);

}  // namespace crossfade
