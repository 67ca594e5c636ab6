// Whether apis and the templates that they name fit each other. Pure.
#pragma once

#include <string>
#include <vector>

#include "control/definitions/api.h"
#include "control/state.h"
#include "protocols/base/result.h"

namespace crossfade {

// The same with uuids in place of what names templates.
//   errors  NotFound: "Template 'x' does not exist"
Result<ApiSpec> resolved(const State& state, ApiSpec spec);
Result<std::vector<TemplateBinding>> resolved(const State& state,
                                              std::vector<TemplateBinding> bindings);

// Of an api whose bindings are resolved: no template twice, all of one endpoint, and every field of
// theirs a field of the api, where it says its own.
//   errors  BadInput with the path below `path`
Status check_api(const State& state, const ApiSpec& spec, const std::string& path);

// Its own fields, or those of its templates under the names that they are mapped to.
std::vector<FieldSpec> fields_of(const State& state, const ApiSpec& spec);

// The endpoint (uuid) of its templates.
const std::string& endpoint_of(const State& state, const ApiSpec& spec);

// Apis in the order in which they are asked whether a request is theirs.
std::vector<ApiPtr> in_order(const State& state);

}  // namespace crossfade
