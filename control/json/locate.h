// Where a text stops being JSON.
//
// The parser that reads good documents does not say where a bad one is bad; this scanner does, and
// is used only then. It judges by the same grammar (RFC 8259, UTF-8).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace crossfade {

struct Flaw {
  std::size_t
      offset;  // of the first byte that can not be part of a document; the size when it just ends
  const char* expected;  // static text: "a value", "',' or '}'"
};

// Returns the first flaw; nullopt when the text is one whole JSON document no deeper than
// depth_max.
//   cost  O(size), recursion bounded by depth_max
std::optional<Flaw> find_flaw(std::string_view text, std::size_t depth_max);

// "line 3, column 7: expected a value". Columns count bytes, from 1.
std::string describe(const Flaw& flaw, std::string_view text);

// Length of the UTF-8 sequence at the start of `bytes`; 0 when they do not begin with a well-formed
// one.
//   source  Unicode 15, table 3-7 (no overlong forms, no surrogates, nothing above U+10FFFF)
std::size_t utf8_length(std::string_view bytes);

}  // namespace crossfade
