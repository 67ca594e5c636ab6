// Attributes of SCRAM messages.
#include "protocols/postgres/scram_message.h"

#include <algorithm>

#include "protocols/base/base64.h"

namespace crossfade::postgres {

std::string without_plus(std::string_view mechanisms) {
  const std::string name = std::string(kScramPlus) + '\0';
  std::string left(mechanisms);
  const bool first = left.starts_with(name);
  const std::size_t at = first ? 0 : left.find('\0' + name);
  if (at != std::string::npos) left.erase(at, name.size());
  return left;
}

std::string nonce_of(std::string_view random) { return base64(random); }

bool is_printable(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c >= 0x21 && c <= 0x7e && c != ','; });
}

std::optional<std::string_view> take_value(std::string_view& message) {
  if (message.size() < 2 || message[1] != '=') return std::nullopt;
  const std::size_t comma = message.find(',');
  const std::size_t end = std::min(comma, message.size());
  const std::string_view value = message.substr(2, end - 2);
  message.remove_prefix(comma == std::string_view::npos ? end : end + 1);
  return value;
}

std::optional<std::string_view> take_value(std::string_view& message, char name) {
  if (front_of(message) != name) return std::nullopt;
  return take_value(message);
}

}  // namespace crossfade::postgres
