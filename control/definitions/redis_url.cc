// Taking a redis:// or rediss:// URL apart.
#include "control/definitions/redis_url.h"

#include <charconv>
#include <optional>

#include "control/hex.h"
#include "tls/context.h"

namespace crossfade {

namespace {

Error bad(const char* reason) { return Error{Errc::BadInput, "", reason}; }

std::optional<std::string> percent_decode(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

template <class Number>
bool whole(std::string_view text, Number min, Number max, Number& value) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  return code == std::errc{} && end == text.data() + text.size() && value >= min && value <= max;
}

// [user[:password]] as it stands before '@'.
bool read_login(std::string_view login, EndpointAddress& address) {
  const std::size_t colon = login.find(':');
  const auto user = percent_decode(login.substr(0, colon));
  const auto password =
      colon == login.npos ? std::string() : percent_decode(login.substr(colon + 1));
  if (!user || !password) return false;
  address.username = *user;
  address.password = *password;
  return true;
}

// host[:port]; false when neither form fits.
bool read_place(std::string_view place, EndpointAddress& address) {
  std::string_view port;
  if (place.starts_with('[')) {
    const std::size_t end = place.find(']');
    if (end == place.npos) return false;
    address.host = place.substr(1, end - 1);
    port = place.substr(end + 1);
  } else {
    const std::size_t colon = place.find(':');
    address.host = place.substr(0, colon);
    port = colon == place.npos ? std::string_view() : place.substr(colon);
  }
  if (address.host.empty()) return false;
  if (port.empty()) return true;
  return port.front() == ':' && whole<std::uint16_t>(port.substr(1), 1, 65535, address.port);
}

}  // namespace

Result<EndpointAddress> parse_redis_url(std::string_view url) {
  const std::size_t scheme_end = url.find("://");
  const std::string_view scheme = url.substr(0, scheme_end);
  const bool tls = scheme == "rediss";
  if (scheme_end == url.npos || (scheme != "redis" && !tls)) {
    return bad("must begin with redis:// or rediss://");
  }
  std::string_view rest = url.substr(scheme_end + 3);

  EndpointAddress address;
  if (tls) address.tls = make_tls({.mode = TlsMode::VerifyFull});
  // The last '@': an unencoded one in a password is what people write.
  if (const std::size_t at = rest.rfind('@'); at != rest.npos) {
    if (!read_login(rest.substr(0, at), address)) return bad("has a broken percent-encoding");
    if (address.password.empty() && !address.username.empty()) {
      return bad("has a user without a password");
    }
    rest.remove_prefix(at + 1);
  }
  if (rest.find_first_of("?#") != rest.npos) return bad("must have no query and no fragment");
  const std::size_t slash = rest.find('/');
  if (!read_place(rest.substr(0, slash), address)) return bad("has no valid host and port");
  const std::string_view db = slash == rest.npos ? std::string_view() : rest.substr(slash + 1);
  if (!db.empty() && !whole<std::uint32_t>(db, 0, kDatabaseMax, address.db)) {
    return bad("has no valid database number after the host");
  }
  return address;
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos;
    if (plain) {
      encoded += c;
    } else {
      encoded += '%';
      encoded += kDigits[byte >> 4];
      encoded += kDigits[byte & 15];
    }
  }
  return encoded;
}

}  // namespace crossfade
