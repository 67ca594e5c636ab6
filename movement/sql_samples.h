// What is shown of results of PostgreSQL that differ: in what, and the first row of each side that
// the other has not, without values unless those may be shown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "protocols/postgres/result_digest.h"
#include "strategies/ports.h"

namespace crossfade {

inline constexpr std::size_t kSampleSqlMax = 1'024;  // bytes shown of a statement

// How values are shown.
struct Showing {
  bool redacted;
  std::uint64_t seed;  // of the hashes that stand for values, a secret of the process
};

// One text for each side. What was kept of the messages is looked at for rows; a part of them will
// do.
struct ShownReplies {
  std::string old_side;
  std::string new_side;
};
ShownReplies show_replies(const Mismatch& mismatch, const Showing& showing);

// The statement, in printable ASCII.
std::string show_statement(std::string_view sql, const Showing& showing);

}  // namespace crossfade
