// Whether the keys of apis can go to new with all that is written to them (strategies/api_keys.h),
// and stay there.
#pragma once

#include <optional>
#include <string>

#include "control/state.h"
#include "protocols/base/result.h"

namespace crossfade {

// Why the keys of a migration's apis can not move; nullopt: they can. Its strategy moves writes.
std::optional<std::string> keys_objection(const State& state, const Migration& migration);

// What becomes of keys that a migration has moved, when templates or apis change.
//   errors  Conflict: some would be asked of old again, or in another form
Status check_moved_keys(const State& before, const State& after, const Migration& migration);

}  // namespace crossfade
