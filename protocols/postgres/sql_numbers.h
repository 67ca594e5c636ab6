// Text of a query with all its numbers made equal: under that the facts of queries that differ in
// nothing else are looked up.
#pragma once

#include <string>
#include <string_view>

namespace crossfade::postgres {

// Whether `sql` has numbers, all of them written in `out` as 0, and is plain enough to tell them
// from everything else: no backslash, no dollar quotes, no comment marks, quotes that end.
//   out   begins with a byte that no SQL begins with: it is no text of a query
//   cost  about 1 ns per byte
bool with_numbers_equal(std::string_view sql, std::string& out);

// Whether it begins as `out` does.
inline bool is_no_text(std::string_view sql) { return sql.starts_with('\1'); }

}  // namespace crossfade::postgres
