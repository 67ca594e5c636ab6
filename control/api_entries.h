// What of an endpoint moves with the apis of a migration. Pure.
#pragma once

#include <string>
#include <vector>

#include "control/state.h"
#include "strategies/api_set.h"

namespace crossfade {

bool has_api_of(const State& state, const Migration& migration, const std::string& endpoint);

// Of the templates that a migration binds for an api, those that serve one of its own on the new
// side: that one itself, or those that are none of the api's and of its kind.
std::vector<const TemplateBinding*> serving(const State& state, const ApiBinding& part,
                                            const TemplateBinding& own);

// A template as its requests are asked for.
struct AskedTemplate {
  const ApiDefinition* api;
  const TemplateDefinition* definition;
  const TemplateBinding* served_by;  // null: it does not move
  ApiSet::Entry entry;
};
// The templates of all apis of that endpoint, in the order in which they are asked. Pointers into
// `state` and `migration`.
std::vector<AskedTemplate> asked_templates(const State& state, const Migration& migration,
                                           const std::string& endpoint);

// Those up to the last that moves: those behind it take no request from one that does.
std::vector<ApiSet::Entry> api_entries(const State& state, const Migration& migration,
                                       const std::string& endpoint);

// True when whatever has moved by `before` does so by `after`, and in the same form: nothing that
// is asked before it is another, has come in or has gone.
bool keep_moving(const std::vector<ApiSet::Entry>& before, const std::vector<ApiSet::Entry>& after);

}  // namespace crossfade
