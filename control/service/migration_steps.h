// What the ways onward and back of a migration have in common: its status in a turn's state, and
// whether it may still take one.
#pragma once

#include <string>

#include "control/definitions/migration.h"
#include "control/service/keeper.h"
#include "control/state.h"

namespace crossfade {

// Sets the status in the turn's state, with its line in the journal.
void set_status(Keeper::Turn& turn, const std::string& uuid, MigrationStatus to,
                const std::string& actor, const std::string& reason);

// Of a time_window; others have nothing to be executed.
void set_executed(Keeper::Turn& turn, const std::string& uuid, bool executed);

// Of a canary that goes up by itself: to its first step, as what it had reached has failed, or was
// not wanted. A share below stays.
void set_ramp_back(Keeper::Turn& turn, const std::string& uuid, const std::string& actor);

// An interlay that was settled before the new side has no way back in this migration.
const InterlayDefinition* settled_interlay(const State& state, const Migration& migration);

// Nobody has changed it since it was seen so.
bool stands_as(const State& state, const Migration& seen);

}  // namespace crossfade
