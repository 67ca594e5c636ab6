// Which side is right while a migration writes to both, and when a PATCH may make it the other.
//
// What is in the ledger is copied from the side that was right when it was noted: it may have
// acknowledged writes that the other side lacks. While there is such a key, or any key may differ,
// the other side is made right by force only.
#pragma once

#include <optional>
#include <string>

#include "control/definitions/migration.h"
#include "control/ledger/ledger.h"

namespace crossfade {

// Why `patched` may not take the place of what `migration` has now; nullopt: nothing is lost by it.
//   summary  of its ledger
std::optional<std::string> right_side_objection(const Migration& migration,
                                                const StrategySpec& patched,
                                                const Ledger::Summary& summary);

// The reason for full verification where that is done all the same.
inline constexpr const char* kMadeRight =
    "another side was made right while the ledger had keys of the former one, or any key could "
    "differ: these keep their side until they are settled, others may lack its last writes";

}  // namespace crossfade
