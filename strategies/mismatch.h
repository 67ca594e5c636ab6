// Replies of the two sides whose bytes differ: what the request path hands over, what comes of it,
// and what is shown of it.
//
// Plain data; the proxy fills it, movement judges it, control shows it. Decision 0015 says how they
// are judged.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocols/postgres/result_digest.h"
#include "strategies/ledger.h"
#include "strategies/plan.h"
#include "strategies/table.h"

namespace crossfade {

// Named limits and settings of the comparison, for the whole process, all with safe defaults.
struct CompareSettings {
  std::uint32_t compare_queue_max = 1'000;      // pairs that wait to be judged or asked again
  std::uint32_t compare_reply_max = 16u << 10;  // bytes kept of each reply, and of the request
  std::uint32_t compare_kept_max = 4u << 20;    // of all those of a loop, while replies are due
  std::uint32_t compare_pause_ms = 200;         // before both sides are asked again
  std::uint32_t compare_timeout_ms = 1'000;     // each step of asking again
  std::uint32_t compare_again_max = 1u << 20;   // bytes of a reply when asked again
  std::uint32_t mismatch_samples_max = 100;     // kept of each migration
  bool redact_values = true;                    // samples show lengths and hashes, not values

  bool operator==(const CompareSettings&) const = default;
};

// Of PostgreSQL: what a transaction had asked, and how it can be asked again.
struct AskedSql {
  std::string database;     // that the client is in; empty: the endpoint's own
  std::string parameters;   // of its start-up packet, that are to be given again: name, NUL, value,
                            // NUL, and so on; neither user nor database
  std::string settings;     // Query messages that SET what it has set since
  std::string new_request;  // Mismatch::request in the form that new has; empty: it has no other
  std::vector<postgres::How> hows;  // for each turn of Mismatch::request; RepeatedReads::hows()
  postgres::Compared compared;      // in what the two differ
  std::array<std::uint64_t, kSides> failures{};  // ResultDigest::failures()
};

// One pair of replies whose hashes, or digests, differ.
struct Mismatch {
  InterlayRoutePtr route;      // the one it was planned by: whose interlay, migration, and sides
  Second sort = Second::Copy;  // Copy or Write
  bool read = false;           // certainly changes nothing (Kind::Read): may be asked again
  bool chance = false;         // CommandSpec::nondeterministic
  std::string command;         // CommandSpec::name
  std::string request;         // its bytes, whole; empty when longer than compare_reply_max
  std::int32_t db = kDefaultDb;
  std::vector<std::string> keys;
  std::string old_reply;   // up to compare_reply_max bytes
  std::string new_reply;   // likewise
  bool truncated = false;  // at least one reply was longer
  // Set: it is one of PostgreSQL. `command` is then the text of a statement, `request` what
  // RepeatedReads::messages() says, `keys` tables, and replies are messages of servers, or empty.
  std::optional<AskedSql> sql = {};
};

// What came of it. The values of the `class` label. Every pair that is offered ends in one of these
// or is dropped.
enum class MismatchClass : std::uint8_t {
  Same,       // other bytes, the same meaning
  Tolerable,  // within what two equal servers may differ by: clocks, ids, wording
  Race,       // different, and equal when looked at again: a write or an expiry came in between
  Chance,     // the command's reply hangs on chance or the clock: says nothing
  Real,       // different again: confirmed
  Unsure      // could not be looked at again, or somebody writes the key all the time
};
inline constexpr std::size_t kMismatchClasses = 6;
constexpr const char* name_of(MismatchClass sort) {
  switch (sort) {
    case MismatchClass::Same:
      return "same";
    case MismatchClass::Tolerable:
      return "tolerable";
    case MismatchClass::Race:
      return "race";
    case MismatchClass::Chance:
      return "chance";
    case MismatchClass::Real:
      return "real";
    case MismatchClass::Unsure:
      return "unsure";
  }
  return "unsure";
}

// The values of the `sort` label.
inline constexpr std::size_t kMismatchSorts = 2;
constexpr std::size_t sort_index(Second sort) { return sort == Second::Write ? 1 : 0; }
constexpr const char* sort_name(std::size_t index) { return index == 1 ? "write" : "copy"; }

// Of one interlay. At rest: offered == sum of classes + dropped.
struct MismatchCounts {
  std::array<std::array<std::uint64_t, kMismatchClasses>, kMismatchSorts> classes{};
  std::uint64_t dropped = 0;  // compare_queue_max reached

  bool operator==(const MismatchCounts&) const = default;
};

// One pair that did not mean the same, as an operator is shown it. All texts are printable ASCII.
struct MismatchSample {
  std::int64_t at = 0;  // Unix time, seconds
  std::string interlay;
  Second sort = Second::Copy;
  MismatchClass what = MismatchClass::Unsure;
  std::string command;
  std::int32_t db = kDefaultDb;
  std::vector<std::string> keys;
  std::string old_reply;
  std::string new_reply;
};

}  // namespace crossfade
