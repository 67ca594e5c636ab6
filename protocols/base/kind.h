// What a request does to data, in either protocol. One word per idea: the same words are the values
// of the `kind` label in metrics.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crossfade {

enum class Kind : std::uint8_t {
  Read,     // certainly changes no data
  Write,    // may change data; whatever nobody knows counts as a write
  Publish,  // no data, but must reach either side: pub/sub messages, the end of a running script
  Other     // session state, server administration, cursors: belongs to one side only
};
inline constexpr std::size_t kKinds = 4;

constexpr const char* name_of(Kind kind) {
  switch (kind) {
    case Kind::Read:
      return "read";
    case Kind::Write:
      return "write";
    case Kind::Publish:
      return "publish";
    case Kind::Other:
      return "other";
  }
  return "other";
}

}  // namespace crossfade
