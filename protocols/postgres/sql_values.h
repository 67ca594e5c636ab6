// SQL without its values, for people to see: what a statement asks for may be shown where what it
// asks about may not.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crossfade::postgres {

// The text with every literal as "?", and every comment as a blank. Names, quoted ones too, words,
// operators and "$1" stay. From where it is not certain what is a value, nothing is shown but one
// "?": behind a literal or comment without an end, behind a string with a backslash (how it ends
// hangs on a setting), and behind digits with a dollar sign.
//   max    bytes of the answer; what is longer is cut, and ends with "..."
//   cost   O(len up to there)
//   source PostgreSQL manual 4.1 "Lexical Structure"
std::string without_values(std::string_view sql, std::size_t max);

}  // namespace crossfade::postgres
