// If-Match, as RFC 9110 has it.
#include "control/service/call.h"

#include <string_view>

namespace crossfade {

bool matches(const std::string& if_match, const std::string& etag) {
  std::string_view rest = if_match;
  bool asked = false;
  while (!rest.empty()) {
    const std::size_t comma = rest.find(',');
    std::string_view one = rest.substr(0, comma);
    rest = comma == rest.npos ? std::string_view() : rest.substr(comma + 1);
    while (!one.empty() && (one.front() == ' ' || one.front() == '\t')) one.remove_prefix(1);
    while (!one.empty() && (one.back() == ' ' || one.back() == '\t')) one.remove_suffix(1);
    if (one.empty()) continue;
    if (one == "*" || one == etag) return true;
    asked = true;
  }
  return !asked;
}

}  // namespace crossfade
