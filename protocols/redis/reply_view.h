// Reads whole replies where they lie: what kind of value it is, its text, its elements.
//
// For the few replies that the sidecar itself must understand. RESP2 and RESP3 alike; attributes
// are passed over. Never reads beyond the given bytes, whatever they are; no recursion.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace crossfade::redis {

// `reply` is one whole reply everywhere below; of anything else (cut short, bytes behind it, no
// RESP) nothing is known: the answer is nullopt or false.

// "$-1", "*-1", "_".
bool is_null(std::string_view reply);
// "-", and RESP3's "!".
bool is_error(std::string_view reply);
// ":", and nothing else that looks like a number.
std::optional<std::int64_t> integer_in(std::string_view reply);
// The text of a bulk or of a simple string.
std::optional<std::string_view> text_in(std::string_view reply);

// Appends the top-level elements of an array, set, push or map (keys and values in turns), each a
// whole reply itself. False, with `out` as it was, for everything else, null included.
//   cost   O(bytes); memory by elements that are there, not by those that are promised
bool split_elements(std::string_view reply, std::vector<std::string_view>& out);

}  // namespace crossfade::redis
