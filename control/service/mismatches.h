// Where samples of replies that differed come from; the data plane keeps them.
#pragma once

#include <functional>
#include <string>

#include "control/json/value.h"

namespace crossfade {

// Those of one migration (id): an array, as "mismatches" shows it.
using Mismatches = std::function<Json(const std::string& migration)>;

}  // namespace crossfade
