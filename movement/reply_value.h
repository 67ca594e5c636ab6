// One reply's bytes -> plain data, RESP2 and RESP3 alike.
//
// A map is its keys and values in a row, a boolean is a number, a verbatim text is its text, and
// attributes are left out: what RESP2 says differently becomes the same. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace crossfade {

struct ReplyValue {
  enum class Type : std::uint8_t {
    Text,    // simple, bulk, verbatim, big number
    Number,  // integer, boolean
    Double,
    Null,
    Error,
    List,  // array, push
    Set,
    Map  // elements: key, value, key, value, …
  } type = Type::Null;
  std::string_view text;  // of the first three and of Error; lies in the reply's bytes
  std::vector<ReplyValue> elements;

  bool aggregate() const { return type >= Type::List; }
};

// Deeper replies are not read. Redis itself nests no deeper than scripts return (and hiredis 7).
inline constexpr unsigned kReplyDepthMax = 32;

// Reads exactly one whole reply; nullopt when the bytes are not that, or too deep.
//   bytes  must outlive the value
//   cost   O(bytes); about 20 bytes of memory for each byte at worst
std::optional<ReplyValue> read_reply(std::string_view bytes);

}  // namespace crossfade
