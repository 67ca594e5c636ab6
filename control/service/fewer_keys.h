// Servers' counts of keys, before somebody is to do with what one side has.
#pragma once

#include <cstdint>
#include <string>

#include "control/definitions/migration.h"
#include "control/ledger/ledger.h"
#include "control/service/endpoints.h"
#include "control/state.h"

namespace crossfade {

// Where a side lacks more than one key in so many, it is no copy of the other.
inline constexpr std::uint64_t kFewerBy = 100;

// Says that a server of `side` has fewer keys than the other side's: by more than one in kFewerBy
// and what the ledger names of this pair, which is known to differ. Such a side was never filled,
// or has lost some. Empty: it has not; or that can not be told: of PostgreSQL, of apis, which move
// some keys only, and where a server does not answer, or refuses INFO. Asks them up to three times,
// for up to kCheckTimeout_ms each.
std::string fewer_keys(const State& state, const Migration& migration, Side side,
                       const Ledger& ledger, Servers& servers);

}  // namespace crossfade
