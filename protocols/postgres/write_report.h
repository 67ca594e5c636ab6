// What a finished write tells of itself, and whether two servers that were given the same write
// have told the same.
//
// A write is what one digest was told: a transaction, or one segment or Query outside of one.
// Equal reports do not prove equal data: what a write did beyond its counts and the rows it
// returned, nobody has told.
//
// Knows nothing of sides or policies: `first` and `second` are whatever the caller means by them.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "protocols/postgres/result_digest.h"

namespace crossfade::postgres {

enum class WriteOutcome : std::uint8_t {
  Done,        // everything was answered, and what was written stays
  RolledBack,  // by ROLLBACK, or by the COMMIT of a transaction that had failed
  Failed,      // the last result is an error, which has undone it
  Open,        // the transaction goes on
  Untold       // the answers are not all there: it may have been done or not
};
const char* name_of(WriteOutcome outcome);

struct WriteReport {
  WriteOutcome outcome = WriteOutcome::Untold;
  std::array<char, 5> sqlstate{};  // of the last error; zeros: none
  std::uint64_t written = 0;       // rows, as command tags count them
};
WriteReport report_of(const ResultDigest& digest);

enum class WriteVerdict : std::uint8_t {
  Equal,       // done by both, and told alike
  Differing,   // done by both, and told differently: their data differ, or did before
  FirstOnly,   // the second has not done it
  SecondOnly,  // the first has not done it
  Neither,     // none has done it: what they held before is what they hold
  Unknown      // of one at least it cannot be told
};
const char* name_of(WriteVerdict verdict);

struct WriteComparison {
  WriteVerdict verdict = WriteVerdict::Unknown;
  std::string text;  // for people, without values; empty: Equal
};

// Both were told all that the servers answered to the same messages.
//   how    as for compare(): RETURNING has no order. Written rows are always counted, since a write
//          that writes other rows leaves other data
//   cost   that of compare()
WriteComparison compare_writes(const ResultDigest& first, const ResultDigest& second, How how);

}  // namespace crossfade::postgres
