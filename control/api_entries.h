// What of an endpoint moves with the apis of a migration. Pure.
#pragma once

#include <string>
#include <vector>

#include "control/state.h"
#include "strategies/api_set.h"

namespace crossfade {

bool has_api_of(const State& state, const Migration& migration, const std::string& endpoint);

// The templates of that endpoint's apis up to the last that moves: those behind it take no request
// from one that does.
std::vector<ApiSet::Entry> api_entries(const State& state, const Migration& migration,
                                       const std::string& endpoint);

// True when whatever has moved by `before` does so by `after`: nothing that is asked before it is
// another, has come in or has gone.
bool keep_moving(const std::vector<ApiSet::Entry>& before, const std::vector<ApiSet::Entry>& after);

}  // namespace crossfade
