// Base64 (RFC 4648, section 4), with its padding.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crossfade {

inline std::string base64(std::string_view bytes) {
  static constexpr char kDigits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < bytes.size(); at += 3) {
    std::uint32_t three = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const bool there = at + i < bytes.size();
      three = three << 8 | (there ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    }
    for (std::size_t i = 0; i < 4; ++i) {
      const bool padding = at + i > bytes.size();  // the last one or two of four
      text += padding ? '=' : kDigits[three >> (18 - 6 * i) & 63];
    }
  }
  return text;
}

}  // namespace crossfade
