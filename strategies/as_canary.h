// What strategies come to that give new a part of the requests: a canary.
#pragma once

#include "strategies/migration.h"

namespace crossfade {

Canary as_canary(const StranglerFig& fig);
Canary as_canary(const FeatureFlag& flag);

}  // namespace crossfade
