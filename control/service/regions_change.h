// What it means to a running migration that an interlay tells its clients' regions otherwise.
#pragma once

#include <optional>
#include <string>

#include "control/service/keeper.h"
#include "control/service/new_only_writes.h"

namespace crossfade {

// Notes in the journal of each geographic migration that routes by networks which are not those of
// `before` any more that some of its traffic may go back to old, as a PATCH of its regions does.
// What went to new only until now, of the last such interlay; nullopt: there is none.
std::optional<NewOnlyWrites::Count> journal_regions(Keeper::Turn& turn, const State& before,
                                                    NewOnlyWrites& new_only_writes,
                                                    const std::string& actor);

}  // namespace crossfade
