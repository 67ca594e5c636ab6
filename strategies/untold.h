// Why a migration needs full verification when a transaction of PostgreSQL has written, on one side
// only, more than its text tells. No table is read from the other side then.
#pragma once

namespace crossfade {

inline constexpr const char* kTablesUntold = "a transaction whose tables are not all known";

}  // namespace crossfade
