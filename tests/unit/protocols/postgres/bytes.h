// Messages as bytes, and what a stream of them is cut into, for tests.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/builder.h"
#include "protocols/postgres/message.h"

namespace crossfade::postgres {

inline std::string message(char type, std::string_view body = {}) {
  std::string bytes;
  MessageBuilder(bytes, type).bytes(body);
  return bytes;
}

// A literal with NUL bytes in it.
template <std::size_t size>
std::string raw(const char (&literal)[size]) {
  return std::string(literal, size - 1);
}

// The header of a message that is said to have a length word of `length`.
inline std::string header(char type, std::uint32_t length) {
  std::string bytes(1, type);
  for (int shift = 24; shift >= 0; shift -= 8) {
    bytes.push_back(static_cast<char>(length >> shift & 0xff));
  }
  return bytes;
}

struct Cutting {
  std::vector<std::string> messages;  // whole, put together of their pieces
  bool broken = false;
  std::size_t rest = 0;  // bytes that no piece has taken

  bool operator==(const Cutting&) const = default;
};

// Cuts `bytes`, handing them over at the given sizes (the last one repeats).
inline Cutting cut_all(std::string_view bytes, MessageCutter cutter,
                       const std::vector<std::size_t>& pieces) {
  Cutting cutting;
  std::size_t begin = 0, end = 0, piece = 0;
  while (end < bytes.size() && !cutting.broken) {
    end += std::min(pieces[std::min(piece++, pieces.size() - 1)], bytes.size() - end);
    while (begin < end && !cutting.broken) {
      // A copy of its own size: reading beyond what has arrived is seen by the address sanitizer.
      const std::vector<char> arrived(bytes.begin() + static_cast<std::ptrdiff_t>(begin),
                                      bytes.begin() + static_cast<std::ptrdiff_t>(end));
      const Cut cut = cutter.next({arrived.data(), arrived.size()});
      if (const auto* part = std::get_if<Piece>(&cut)) {
        if (part->first()) cutting.messages.emplace_back();
        cutting.messages.back().append(part->bytes);
        begin += part->bytes.size();
        continue;
      }
      cutting.broken = std::holds_alternative<Broken>(cut);
      break;
    }
  }
  cutting.rest = bytes.size() - begin;
  return cutting;
}

}  // namespace crossfade::postgres
