// Templates of apis in the order in which they are asked.
#include "control/api_entries.h"

#include <algorithm>
#include <span>

#include "control/api_rules.h"

namespace crossfade {

namespace {

bool is_of(const ApiDefinition& api, const std::string& template_ref) {
  return std::ranges::find(api.spec.bindings, template_ref, &TemplateBinding::template_ref) !=
         api.spec.bindings.end();
}

// Which field of the api's template each of the other one's is.
redis::Rendering::Fields fields_between(const TemplateDefinition& own,
                                        const TemplateBinding& own_binding,
                                        const TemplateDefinition& other,
                                        const TemplateBinding& other_binding) {
  redis::Rendering::Fields fields;
  for (const FieldSpec& field : other.meaning.fields) {
    const std::string& of_api = mapped(other_binding, field.name);
    for (const FieldSpec& candidate : own.meaning.fields) {
      if (mapped(own_binding, candidate.name) == of_api) {
        fields.emplace_back(field.name, candidate.name);
        break;
      }
    }
  }
  return fields;
}

}  // namespace

bool has_api_of(const State& state, const Migration& migration, const std::string& endpoint) {
  return std::ranges::any_of(migration.apis, [&](const ApiBinding& part) {
    return endpoint_of(state, state.apis.at(part.api)->spec) == endpoint;
  });
}

std::vector<const TemplateBinding*> serving(const State& state, const ApiBinding& part,
                                            const TemplateBinding& own) {
  const ApiDefinition& api = *state.apis.at(part.api);
  const Kind kind = state.templates.at(own.template_ref)->meaning.kind;
  std::vector<const TemplateBinding*> found;
  for (const TemplateBinding& binding : part.bindings) {
    if (binding.template_ref == own.template_ref) return {&binding};
    if (is_of(api, binding.template_ref)) continue;
    if (state.templates.at(binding.template_ref)->meaning.kind == kind) found.push_back(&binding);
  }
  return found;
}

std::vector<AskedTemplate> asked_templates(const State& state, const Migration& migration,
                                           const std::string& endpoint) {
  std::vector<AskedTemplate> asked;
  for (const ApiPtr& api : in_order(state)) {
    if (endpoint_of(state, api->spec) != endpoint) continue;
    const auto part = std::ranges::find(migration.apis, api->identity.uuid, &ApiBinding::api);
    for (const TemplateBinding& own : api->spec.bindings) {
      const TemplateDefinition& definition = *state.templates.at(own.template_ref);
      AskedTemplate& one = asked.emplace_back(
          AskedTemplate{api.get(), &definition, nullptr, {.query = definition.spec.query}});
      if (part == migration.apis.end()) continue;
      const auto found = serving(state, *part, own);
      if (found.empty()) continue;
      one.served_by = found.front();
      one.entry.moves = true;
      if (one.served_by->template_ref == own.template_ref) continue;
      const TemplateDefinition& other = *state.templates.at(one.served_by->template_ref);
      one.entry.becomes = other.spec.query;
      one.entry.fields = fields_between(definition, own, other, *one.served_by);
    }
  }
  return asked;
}

std::vector<ApiSet::Entry> api_entries(const State& state, const Migration& migration,
                                       const std::string& endpoint) {
  std::vector<ApiSet::Entry> entries;
  std::size_t needed = 0;
  for (AskedTemplate& one : asked_templates(state, migration, endpoint)) {
    entries.push_back(std::move(one.entry));
    if (entries.back().moves) needed = entries.size();
  }
  entries.resize(needed);
  return entries;
}

bool keep_moving(const std::vector<ApiSet::Entry>& before,
                 const std::vector<ApiSet::Entry>& after) {
  if (after.size() < before.size()) return false;
  return std::ranges::equal(before, std::span(after).first(before.size()),
                            [](const ApiSet::Entry& one, const ApiSet::Entry& other) {
                              return one == other || (one.query == other.query && !one.moves);
                            });
}

}  // namespace crossfade
