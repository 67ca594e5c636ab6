// What a server's replies mean, kept small: told the messages as they pass by, it holds for each
// result its command tag, error, columns, number of rows, and hashes of the rows, in their order
// and without one. Two digests of the same requests tell whether two servers have answered alike,
// and if not, in what.
//
// Part of the meaning: command tags, SQLSTATEs, names, types and formats of columns and parameters,
// rows, copied data (message by message), function results, and the status of ReadyForQuery. No
// part of it: texts of errors, notices, notifications, settings, whether a statement was parsed or
// bound by a message of its own, and the OIDs of tables. OIDs of types that users have made differ
// between equal servers: all of them are one. How rows are written is part of it (decision 0019).
//
// Holds no bytes of rows. Knows nothing of sides, sessions, or SQL.
// Source: PostgreSQL documentation, "Message Formats"; COPY, "Binary Format".
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/message.h"
#include "protocols/postgres/sql_facts.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {

inline constexpr std::size_t kResultsTold = 16;            // results told apart; more are one hash
inline constexpr std::size_t kDescriptionMax = 512 << 10;  // bytes; of a longer one only its size

// How strictly two results are compared. Strictest first.
enum class How : std::uint8_t {
  Exact,     // rows in their order
  Multiset,  // the same rows, in any order
  ShapeOnly  // outcome, command and columns: rows and counts may differ between equal servers
};
constexpr How weaker(How one, How other) { return one < other ? other : one; }
// What the text of a query allows for.
How how_of(const SqlFacts& facts);

// 128 bits of XXH3: told apart with certainty, but for whoever makes collisions on purpose.
struct Hash128 {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
};

// A command tag: "INSERT 0 5" is the command INSERT and the count 5.
struct CommandTag {
  std::string_view command;
  std::optional<std::uint64_t> count;
};
CommandTag split_tag(std::string_view tag);

struct QueryResult {
  enum class Ending : std::uint8_t {
    Open,       // nothing has ended it: what was described, but not executed
    Complete,   // CommandComplete
    Empty,      // EmptyQueryResponse
    Suspended,  // PortalSuspended: rows up to the limit of an Execute
    Called,     // FunctionCallResponse
    Failed      // ErrorResponse
  };
  static constexpr std::size_t kCommandMax = 40;  // bytes; the longest tag has 36

  Ending ending = Ending::Open;
  How how = How::Exact;
  // Some result before it, or this one, is Suspended: which rows are in which, nobody has said.
  bool torn = false;
  std::uint16_t columns = 0;
  std::array<char, 5> sqlstate{};           // Failed
  std::array<char, kCommandMax> command{};  // Complete; cut, zeros behind it
  std::optional<std::uint64_t> count;       // Complete, where the tag has one
  std::uint64_t rows = 0;                   // and messages of copied data
  std::uint64_t bytes = 0;                  // of these, without their headers
  Hash128 shape;                            // of descriptions, one after the other
  Hash128 sum;                              // of the rows' hashes: order does not matter
  Hash128 sequence;                         // of the rows' hashes, one after the other; Exact only

  std::string_view command_text() const;
  // Where rows may be more or fewer, an Execute with a limit may end in one way or the other.
  Ending ending_for(How strictness) const {
    const bool either = strictness == How::ShapeOnly && ending == Ending::Suspended;
    return either ? Ending::Complete : ending;
  }
  std::string_view sqlstate_text() const { return {sqlstate.data(), sqlstate.size()}; }
};

class ResultDigest {
 public:
  ResultDigest();
  ~ResultDigest();
  ResultDigest(ResultDigest&&) noexcept;
  ResultDigest& operator=(ResultDigest&&) noexcept;

  // How results that end from now on are compared, whatever compare() is asked for more strictly.
  // In the midst of a result it may only become weaker. At first: Exact.
  void expect(How how);

  // The next piece of a server's message, as a cutter has handed it over. Messages that were not
  // caused by the requests (replies marked Skip) are not to be told.
  //   cost   that of hashing rows; no allocation, but for the first row that comes in pieces, and
  //          for descriptions that do
  void on_piece(const Piece& piece);
  // Whole messages of one type, DataRow or CopyData, as run_of() has found them. The same as each
  // of them by on_piece().
  //   cost   two hashes a row (Exact: three), no allocation
  void on_rows(char type, std::string_view whole_messages);

  // Forgets all of it, and keeps the memory.
  void clear();

  // The first kResultsTold results in order; the last one may be Open.
  const std::vector<QueryResult>& results() const { return results_; }
  std::uint64_t results_beyond() const { return beyond_; }
  std::uint64_t failures() const { return failures_; }  // results that Failed, all counted
  std::uint64_t rows() const { return rows_; }          // of all results
  // Rows that INSERT, UPDATE, DELETE, MERGE and COPY IN say they have written, all results.
  std::uint64_t written() const { return written_; }
  // The last that something has ended; nothing: none has.
  const std::optional<QueryResult>& last() const { return last_; }
  // Of the last result that Failed; zeros: none has.
  const std::array<char, 5>& sqlstate() const { return sqlstate_; }
  // As the last ReadyForQuery said; nothing: none has come.
  std::optional<Transaction> status() const { return status_; }
  // ReadyForQuery messages so far.
  std::uint64_t turns() const { return turns_; }

 private:
  friend struct Comparison;
  struct RowStream;

  QueryResult& current();
  void take_first(const Piece& piece);
  void take_row(std::string_view body);
  void take_row_piece(const Piece& piece);
  void take_description(const Piece& piece);
  void describe(char type, std::size_t size, std::string_view body);
  void add_row(const Hash128& hash, std::uint64_t size);
  std::string_view without_copy_head(std::string_view bytes);
  void complete(std::string_view body);
  void fail(std::string_view body);
  void end(QueryResult::Ending ending);
  void turn(std::string_view body);
  void fold_rest(const QueryResult& result);

  std::vector<QueryResult> results_;
  QueryResult open_;    // what is not ended yet
  bool begun_ = false;  // open_ says something
  bool torn_ = false;   // a Suspended result has come
  How how_ = How::Exact;
  std::uint8_t copy_head_ = 0;   // bytes still to come of the head of binary COPY
  std::uint64_t beyond_ = 0;     // results that have found no room
  std::array<Hash128, 3> rest_;  // of these, one after the other, for each How
  std::uint64_t failures_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t written_ = 0;
  std::optional<QueryResult> last_;
  std::array<char, 5> sqlstate_{};
  std::uint64_t turns_ = 0;
  Hash128 statuses_;  // of ReadyForQuery, one after the other
  std::optional<Transaction> status_;
  std::string description_;            // of which some pieces have come
  std::unique_ptr<RowStream> stream_;  // of a row of which some pieces have come
  std::uint64_t stream_size_ = 0;
};

// In what two digests differ: the first that was found, results in their order.
enum class Difference : std::uint8_t {
  None,
  Outcome,  // one failed, was suspended, …; or both failed, with two SQLSTATEs
  Command,  // command tags without their counts
  Columns,  // number, names, types, formats of columns; types of parameters
  Counts,   // rows of the result, or the count of its tag
  Rows,     // their content
  Order,    // the same rows in another order
  Results,  // there are more of them on one side, or they differ beyond those that are told apart
  Status    // of the transaction
};
const char* name_of(Difference difference);

struct Compared {
  Difference what = Difference::None;
  std::uint32_t result = 0;  // which one differs, counting from 0; up to Rows and Order
  std::string old_text;      // for people, without any value of a row; empty: None
  std::string new_text;

  std::string text() const { return same() ? "" : old_text + " / " + new_text; }
  bool same() const { return what == Difference::None; }
};

// Each pair of results is compared as strictly as `how` and what both were expected to be allow
// for. Of results that both failed only the SQLSTATEs are: how many rows had come before hangs on
// plans. Of torn ones that are compared as multisets, rows are only counted.
//   cost   O(kResultsTold); allocates only for the text
Compared compare(const ResultDigest& old_side, const ResultDigest& new_side, How how);

}  // namespace crossfade::postgres
