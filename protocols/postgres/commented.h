// What applications write about themselves into comments of their SQL, in sqlcommenter's form:
// /*action='show',user='42'*/.
//
// Pairs stand between commas; values are URL-encoded, and quotes within them escaped. The comment
// is the first thing of the text, or the last one but for blanks and semicolons: one within it is
// not looked for, as it may be part of a literal.
//
// Source: sqlcommenter's specification, "SQL commenter", google.github.io/sqlcommenter/spec.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace crossfade::postgres {

inline constexpr std::size_t kCommentedMax = 256;  // bytes of a value that is told

// The value that the text's comment gives to `name`, decoded into `room`. Nothing: it has none, or
// an empty one, or one that is too long for the room.
//   cost  O(length of the comment), no allocation
std::optional<std::string_view> commented(std::string_view sql, std::string_view name,
                                          std::span<char> room);

}  // namespace crossfade::postgres
