// Comments of SQL taken out, so that a query has one text whatever its comments say.
//
// Applications write who they are and what they trace into comments: without them the same
// statement is found again. What is left means exactly what the whole meant, literals included.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crossfade::postgres {

// No operator of PostgreSQL or of its extensions has more characters; the parser's work on a run
// of them is its square.
inline constexpr std::size_t kOperatorRunMax = 8;

enum class SqlLexis {
  Plain,    // all is well
  Unclear,  // a literal or comment without an end, or where they begin hangs on the lexer's version
  LongRun   // more than kOperatorRunMax operator characters in a row, outside of literals
};

// True where there can be no comment: the text is its own.
//   cost  two scans for a byte
bool has_no_comment(std::string_view sql);

// Writes `sql` without comments to `to`, whose memory is used again: a line comment leaves its line
// end, a block comment one blank (or, behind a string, where a blank would join it to the next one,
// an empty comment). With Unclear, `to` is the text as it was.
//   sql    lexed with standard_conforming_strings on, in an encoding without ASCII bytes inside of
//          other characters
//   cost   O(len), no allocation once `to` has room
//   source PostgreSQL manual 4.1 "Lexical Structure"; PostgreSQL 15, scan.l
SqlLexis without_comments(std::string_view sql, std::string& to);

}  // namespace crossfade::postgres
