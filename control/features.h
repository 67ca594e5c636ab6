// What the features of a strangler_fig, and the flags of a feature_flag, are of a migration: its
// apis, by id or uuid. Pure.
#pragma once

#include <string>
#include <vector>

#include "control/state.h"

namespace crossfade {

// Which requests to an endpoint the strategy has a say in; all others stay on old.
enum class Governed : std::uint8_t { All, Apis, None };

// Of a strangler_fig those of the migration's apis, of a feature_flag those of apis whose flag is
// enabled: all, where an enabled flag names none of the migration's apis. Of other strategies those
// of the migration's apis, or all where it has none of the endpoint.
Governed governed_at(const State& state, const Migration& migration, const std::string& endpoint);

// An enabled flag names no api of the migration: it governs all traffic.
bool governs_all(const State& state, const Migration& migration);

// Whether the strategy has a say in what matches the templates that the migration binds for that
// api. An api that is named by its id and by its uuid has to be true by both.
bool takes_part(const Migration& migration, const ApiDefinition& api);

// Features or flags that are on, or off, and name no api of the migration; as they are written.
std::vector<std::string> strangers(const State& state, const Migration& migration, bool on);

}  // namespace crossfade
