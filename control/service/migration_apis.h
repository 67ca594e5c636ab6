// Apis in migrations: which templates serve them on the new side. Pure.
#pragma once

#include <optional>
#include <string>

#include "control/state.h"
#include "protocols/base/result.h"

namespace crossfade {

// Reads {"id"?, "bindings": [{"template"|"template_id", "fields"?}]} for that api.
//   errors  BadInput with the path; NotFound: a template
Result<ApiBinding> read_api_binding(const State& state, const ApiDefinition& api, const Json& body);

// A template of the api itself passes its requests unchanged. Any other one is of one other
// endpoint, which speaks the same, and has all that it requires from the fields of the api.
//   errors  BadInput with the path below `path`
Status check_api_binding(const State& state, const ApiBinding& binding, const std::string& path);

// What a migration says of its apis can not be done: their endpoints, what serves them on the new
// side, or what the strategy would do with requests that are of none. Nothing where it has none.
std::optional<std::string> apis_objection(const State& state, const Migration& migration);

// The requests of the api are written anew, and its keys on new in another form.
bool is_rendered(const State& state, const ApiBinding& part);

// How many templates it moves, of how many apis; which of its interlays move as a whole.
std::string what_moves_by_api(const State& state, const Migration& migration);

// Whether all apis in migrations still fit, can be routed where they are, and have the keys that
// have moved with them; names the migration and the api that do not.
Status check_api_bindings(const State& before, const State& after);

// "apis" of a migration: with all that a GET of them shows when verbose.
Json shown_apis(const State& state, const Migration& migration, bool verbose);

}  // namespace crossfade
