// Which side is right while a migration writes to both, and when another one may answer instead.
//
// What is in the ledger is copied from the side that was right when it was noted: it may have
// acknowledged writes that the other side lacks. While there is such a key, or any key may differ,
// the other side is made right, or answers once writes go to one side only, by force only.
#pragma once

#include <optional>
#include <string>

#include "control/definitions/migration.h"
#include "control/ledger/ledger.h"

namespace crossfade {

// Why `patched` may not take the place of what `migration` has now; nullopt: nothing is lost by it.
//   known  what its ledger has; nullopt: it never wrote to both sides
std::optional<std::string> right_side_objection(const Migration& migration,
                                                const StrategySpec& patched,
                                                const std::optional<Ledger::Summary>& known);

// What a server of that side has lost, of which the other one may have it still: the reason for
// full verification that says so. Empty: nothing that is known.
std::string what_was_lost(Side side, const Ledger::Summary& summary);

// Some writes go to old, and to old alone.
bool old_has_writes_alone(const StrategySpec& strategy);

// It does not write to both sides yet, and will with new as the one that is right.
bool begins_with_new_right(const Migration& migration);

// Why a migration that does not write to both sides yet may not begin to as it is: new would be
// right, and lacks what old was given since they both were written to.
//   summary  of its ledger; nullopt: it never wrote to both sides
std::optional<std::string> start_objection(const Migration& migration,
                                           const std::optional<Ledger::Summary>& summary);

// New is right while writes go to both sides, or answers some requests alone.
bool relies_on_new(const StrategySpec& strategy);

// New is made right, or begins to answer alone, of a migration that writes to both sides with old
// as the one that is right, or has done so.
//   known  as above
bool hands_over_to_new(const Migration& migration, const StrategySpec& patched,
                       const std::optional<Ledger::Summary>& known);

// Why it may not be called complete, with everything on new: new may lack writes that old has.
std::optional<std::string> completion_objection(const Ledger::Summary& summary);

// The reason for full verification where that is done all the same.
inline constexpr const char* kMadeRight =
    "another side was made right while the ledger had keys of the former one, or any key could "
    "differ: these keep their side until they are settled, others may lack its last writes";

}  // namespace crossfade
