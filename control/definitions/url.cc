// Taking URLs apart.
#include "control/definitions/url.h"

#include <charconv>

#include "control/hex.h"

namespace crossfade {

namespace {

// [user[:password]] as it stands before '@'.
bool read_login(std::string_view login, UrlParts& parts) {
  const std::size_t colon = login.find(':');
  auto user = percent_decode(login.substr(0, colon));
  if (!user) return false;
  parts.user = std::move(*user);
  if (colon == login.npos) return true;
  parts.password = percent_decode(login.substr(colon + 1));
  return parts.password.has_value();
}

// host[:port]; false when neither form fits.
bool read_place(std::string_view place, UrlParts& parts) {
  std::string_view port;
  if (place.starts_with('[')) {
    const std::size_t end = place.find(']');
    if (end == place.npos) return false;
    parts.host = place.substr(1, end - 1);
    port = place.substr(end + 1);
  } else {
    const std::size_t colon = place.find(':');
    parts.host = place.substr(0, colon);
    port = colon == place.npos ? std::string_view() : place.substr(colon);
  }
  if (parts.host.empty()) return false;
  if (port.empty()) return true;
  std::uint16_t number = 0;
  const auto [end, code] = std::from_chars(port.data() + 1, port.data() + port.size(), number);
  if (port.front() != ':' || code != std::errc{} || end != port.data() + port.size() ||
      number == 0) {
    return false;
  }
  parts.port = number;
  return true;
}

}  // namespace

std::optional<UrlParts> parse_url_parts(std::string_view rest, const char*& why) {
  UrlParts parts;
  // The last '@': an unencoded one in a password is what people write.
  if (const std::size_t at = rest.rfind('@'); at != rest.npos) {
    if (!read_login(rest.substr(0, at), parts)) {
      why = "has a broken percent-encoding";
      return std::nullopt;
    }
    rest.remove_prefix(at + 1);
  }
  if (rest.find('#') != rest.npos) {
    why = "must have no query and no fragment";
    return std::nullopt;
  }
  if (const std::size_t mark = rest.find('?'); mark != rest.npos) {
    parts.query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  const std::size_t slash = rest.find('/');
  if (!read_place(rest.substr(0, slash), parts)) {
    why = "has no valid host and port";
    return std::nullopt;
  }
  auto path = slash == rest.npos ? std::string() : percent_decode(rest.substr(slash + 1));
  if (!path) {
    why = "has a broken percent-encoding";
    return std::nullopt;
  }
  parts.path = std::move(*path);
  return parts;
}

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
