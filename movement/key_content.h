// What a key holds on a server, in a form that two servers of different versions and with different
// encodings share when it is the same. Reads only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "movement/reply_meaning.h"
#include "protocols/base/result.h"

namespace crossfade {

// A bigger value is compared by its type, length and expiry alone: reading it would be felt.
inline constexpr std::int64_t kContentElementsMax = 10'000;
inline constexpr std::int64_t kContentBytesMax = 512 << 10;

// Replies as they came, each to the same question on both servers when the types are the same.
struct KeyContent {
  std::string type;    // "+string\r\n"; "+none\r\n": there is no such key
  std::string expiry;  // to PTTL
  std::string length;  // in elements, of a string in bytes; empty for types nobody knows
  std::string reader;  // the command that read `value`: how that is to be judged
  std::string value;   // empty: too big
};

// Sends the bytes of one request, returns those of its reply.
using AskServer = std::function<Result<std::string>(std::string_view request)>;

// Asks for all of it; what changes meanwhile may be mixed.
//   errors  those of `ask`; BadConfig: the server refuses, in its own words
Result<KeyContent> read_content(const AskServer& ask, std::string_view key);

// nullopt: as far as was read they are the same, but they are too big to be read whole.
std::optional<Meaning> judge_contents(const KeyContent& one, const KeyContent& other);

}  // namespace crossfade
