// The normal form of a statement: its text with every value taken out, whatever its blanks, the
// case of its words, and its final semicolon.
//
// A value is a literal (number, string, TRUE, FALSE, NULL), with its sign, or a parameter ($1). Two
// statements with one normal form differ in values only. Quoted names stay as they are written.
//
// Knows words, not grammar: what it is given need not be SQL.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace crossfade::postgres {

// In place of a value, in a normal form.
inline constexpr char kValueMark = '\1';

struct SqlValue {
  enum class What { Literal, Parameter } what;
  std::string_view text;  // as written, sign included; of a parameter its number, without "$"
};

struct NormalSql {
  std::string form;
  std::vector<SqlValue> values;  // in order; of the text that was given
};

// Writes the normal form of `sql` to `to`, whose memory is used again.
//   sql      without comments (sql_comments.h), in the standard reading
//   returns  false: a literal without an end, or a byte that is no part of SQL; `to` is undefined
//   cost     1 to 2 ns per byte, no allocation once `to` has room
bool normalise(std::string_view sql, NormalSql& to);

// Likewise of the statement alone that begins at `at`, which becomes where the next one does. The
// form is empty where there is none between two semicolons.
bool normalise_next(std::string_view sql, std::size_t& at, NormalSql& to);

// The value of a literal as a server would print it, as far as its form tells: a plain string
// without its quotes, all else as written.
std::string plain_value(std::string_view literal);

}  // namespace crossfade::postgres
