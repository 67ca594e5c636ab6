// Letters of ASCII in either case, whatever the locale.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace crossfade {

constexpr char ascii_lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

inline std::string ascii_lower(std::string text) {
  for (char& c : text) c = ascii_lower(c);
  return text;
}

// `lower`: in lower case.
inline bool same_letters(std::string_view text, std::string_view lower) {
  return std::ranges::equal(text, lower,
                            [](char c, char expected) { return ascii_lower(c) == expected; });
}

}  // namespace crossfade
