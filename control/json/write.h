// Json -> JSON text.
#pragma once

#include <string>

#include "control/json/value.h"

namespace crossfade {

// Writes without spaces. The result is always valid UTF-8 JSON: control characters are escaped,
// bytes that are not UTF-8 become U+FFFD, doubles are the shortest text that reads back as the same
// number (0.05 as 0.05, one as 1.0), and numbers that JSON can not hold (NaN, infinity) become
// null.
//   cost  O(size)
std::string to_text(const Json& value);

}  // namespace crossfade
