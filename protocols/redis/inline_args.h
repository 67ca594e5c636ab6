// Splits an inline command into arguments, quotes and escapes as redis-cli and the server know
// them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crossfade::redis {

// Appends the next argument of `line` to `out` and moves `at` behind it.
//   line     without its line end and without NUL bytes
//   returns  Argument: one was appended (it may be empty, as in `""`); End: only blanks were left;
//            Unbalanced: an open quote, or a closing one that no blank follows
//   source   sdssplitargs() of Redis 7.0 decides every question of form
enum class Inline { Argument, End, Unbalanced };
Inline next_inline_arg(std::string_view line, std::size_t& at, std::string& out);

}  // namespace crossfade::redis
