// What a PATCH takes back to old of what went to new alone. Pure.
#pragma once

#include <string>

#include "control/service/new_only_writes.h"
#include "control/state.h"

namespace crossfade {

// Something that went to new with its writes, here or at another sidecar, is asked of old by the
// patched one.
bool takes_back(const Migration& migration, const MigrationSpec& patched);

// "7 writes went to new only and are not on old"; empty: none did.
std::string left_on_new(const NewOnlyWrites::Count& count);

// The same while new goes on to answer such writes: at least so many.
std::string left_on_new_so_far(const NewOnlyWrites::Count& count);

// That for the journal, behind what was changed: "; some of the traffic goes back to old: …".
// At least so many, as new answers such writes until the change is in force.
std::string taken_back_words(const NewOnlyWrites::Count& count);

}  // namespace crossfade
