// What of an endpoint moves with the apis of a migration. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "control/state.h"
#include "strategies/api_set.h"

namespace crossfade {

bool has_api_of(const State& state, const Migration& migration, const std::string& endpoint);

// Of the templates that a migration binds for an api, those that serve its own on the new side.
// Views of `state` and `part`.
class Serving {
 public:
  Serving(const State& state, const ApiBinding& part);
  // That one itself, or those that are none of the api's and of its kind.
  //   cost  a look-up: tables are made again and again, of apis of a thousand templates
  std::vector<const TemplateBinding*> of(const TemplateBinding& own) const;

 private:
  const State& state_;
  std::unordered_map<std::string_view, const TemplateBinding*> own_;  // by template
  std::map<Kind, std::vector<const TemplateBinding*>> others_;
};

// Which field of an api's template each of the other one's is that serves it; those that have none
// are not among them.
redis::Rendering::Fields fields_between(const TemplateDefinition& own,
                                        const TemplateBinding& own_binding,
                                        const TemplateDefinition& other,
                                        const TemplateBinding& other_binding);

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
