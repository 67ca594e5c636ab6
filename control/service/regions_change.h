// What it means to a running migration that an interlay tells its clients' regions otherwise.
#pragma once

#include <optional>
#include <string>

#include "control/service/keeper.h"
#include "control/service/new_only_writes.h"

namespace crossfade {

// Notes in the journal of each geographic migration that moves writes by networks which are not
// those of `before` any more how many of these went to new only until now: clients may go back to
// old by that, as by a PATCH of its regions. The count of the last such interlay; nullopt: none.
std::optional<NewOnlyWrites::Count> journal_regions(Keeper::Turn& turn, const State& before,
                                                    NewOnlyWrites& new_only_writes,
                                                    const std::string& actor);

}  // namespace crossfade
