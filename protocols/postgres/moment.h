// Texts that stand for a moment as soon as they are read as a date or time: 'now', 'Today 12:00'.
//
// Two servers that are given them keep two values.
// Source: PostgreSQL manual 8.5.1.4 "Special Values"; infinity is the same everywhere.
#pragma once

#include <string_view>

namespace crossfade::postgres {

// A constant, whose type is not known: its first word is one, whatever follows.
bool is_moment(std::string_view text);

// A constant or a parameter, which may be what a person wrote: one whose words are few, or an
// element of an array or range.
//   cost  O(len), no allocation
bool passes_moment(std::string_view value);

}  // namespace crossfade::postgres
