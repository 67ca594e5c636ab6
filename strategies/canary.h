// What the other strategies' entry points need to know about a canary.
#pragma once

#include "strategies/migration.h"

namespace crossfade {

// See home() and splits_writes() in strategies/migration.h.
Side home_of(const Canary& canary);
bool splits_writes(const Canary& canary);

}  // namespace crossfade
