// The ledger's words: keys known or suspected to differ between the sides of a migration.
//
// A key enters the ledger before the client hears the answer of the write that made it doubtful,
// and leaves it only when both sides were seen equal. Plain data; control keeps it, the proxy
// writes to it, movement repairs by it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "strategies/plan.h"

namespace crossfade {

// Why a key is suspected. The values of the `reason` label and of "reason" in the API.
enum class Doubt : std::uint8_t {
  Outcome,     // one side took the write, the other refused it
  Unsent,      // the other side did not get it: down, overflow, its connection's state refused
  Unanswered,  // it was sent, and its outcome on one side is unknown
  Replies,     // both sides took it and answered differently
  Chance,      // its effect hangs on chance or the clock and could not be repeated exactly
  Order,       // the sides may have had it in different orders: it waited too long for its turn, or
               // is made from what others may have changed between the turns
  Verify,      // nobody wrote it: a comparison of everything found it different
  Spread       // both sides made it from a key that was suspected (RENAME, COPY, SINTERSTORE, …)
};
inline constexpr std::size_t kDoubts = 8;

// How many keys of a migration are suspected.
enum class Suspected : std::uint8_t { None, Some, All };
constexpr const char* name_of(Doubt doubt) {
  switch (doubt) {
    case Doubt::Outcome:
      return "outcome";
    case Doubt::Unsent:
      return "unsent";
    case Doubt::Unanswered:
      return "unanswered";
    case Doubt::Replies:
      return "replies";
    case Doubt::Chance:
      return "chance";
    case Doubt::Order:
      return "order";
    case Doubt::Verify:
      return "verify";
    case Doubt::Spread:
      return "spread";
  }
  return "unanswered";
}

// The database a client has never chosen: each side's own default.
inline constexpr std::int32_t kDefaultDb = -1;

// Where rows of tables are beside the tables, whose names they can not be taken for. What is there
// says more about another entry, which suspects as much without it.
inline constexpr std::int32_t kRowsDb = -2;

struct SuspectKey {
  std::int32_t db = kDefaultDb;  // as the client selected it; kRowsDb
  std::string key;               // any bytes
  std::uint64_t pair = 0;        // of servers (pair_of()); 0: it is not known which

  bool operator==(const SuspectKey&) const = default;
};

struct Suspect {
  SuspectKey at;
  Doubt doubt = Doubt::Unanswered;
  Side right = Side::Old;  // the side whose value is right
};

}  // namespace crossfade
