// Words among a request's arguments, which the server takes in any case.
#pragma once

#include <cstddef>
#include <string_view>

namespace crossfade::redis {

inline bool is_word(std::string_view arg, std::string_view upper_case) {
  if (arg.size() != upper_case.size()) return false;
  for (std::size_t i = 0; i < arg.size(); ++i) {
    const char c = arg[i];
    if ((c >= 'a' && c <= 'z' ? c - 32 : c) != upper_case[i]) return false;
  }
  return true;
}

}  // namespace crossfade::redis
