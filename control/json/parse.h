// JSON text -> Json, strictly: RFC 8259, UTF-8, no duplicate keys, bounded depth.
#pragma once

#include <string_view>

#include "control/json/value.h"
#include "protocols/base/result.h"

namespace crossfade {

inline constexpr std::size_t kJsonDepthMax = 32;  // ours needs 6

// Parses one whole document.
//   errors  BadInput; the reason names line and column ("line 3, column 7: expected a value"), or
//   for a
//           duplicate key its JSON path. Never quotes the text: it may hold a secret.
//   cost    O(size); the text is copied once
Result<Json> parse_json(std::string_view text);

}  // namespace crossfade
