// Base64 (RFC 4648, section 4), with its padding.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace crossfade {

std::string base64(std::string_view bytes);

// The bytes that base64() makes this text of; nullopt for every text that it makes of none: blanks,
// missing padding, bits behind the last byte.
//   cost   O(size)
std::optional<std::string> base64_decoded(std::string_view text);

}  // namespace crossfade
