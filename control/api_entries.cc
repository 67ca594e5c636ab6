// Templates of apis in the order in which they are asked.
#include "control/api_entries.h"

#include <algorithm>
#include <optional>
#include <span>

#include "control/api_rules.h"
#include "control/features.h"

namespace crossfade {

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

bool has_api_of(const State& state, const Migration& migration, const std::string& endpoint) {
  return std::ranges::any_of(migration.apis, [&](const ApiBinding& part) {
    return endpoint_of(state, state.apis.at(part.api)->spec) == endpoint;
  });
}

Serving::Serving(const State& state, const ApiBinding& part) : state_(state) {
  for (const TemplateBinding& own : state.apis.at(part.api)->spec.bindings) {
    own_.emplace(own.template_ref, nullptr);
  }
  for (const TemplateBinding& binding : part.bindings) {
    if (const auto own = own_.find(binding.template_ref); own != own_.end()) {
      own->second = &binding;
    } else {
      others_[state.templates.at(binding.template_ref)->meaning.kind].push_back(&binding);
    }
  }
}

std::vector<const TemplateBinding*> Serving::of(const TemplateBinding& own) const {
  if (const TemplateBinding* itself = own_.at(own.template_ref)) return {itself};
  const auto found = others_.find(state_.templates.at(own.template_ref)->meaning.kind);
  return found == others_.end() ? std::vector<const TemplateBinding*>() : found->second;
}

std::vector<AskedTemplate> asked_templates(const State& state, const Migration& migration,
                                           const std::string& endpoint) {
  std::vector<AskedTemplate> asked;
  for (const ApiPtr& api : in_order(state)) {
    if (endpoint_of(state, api->spec) != endpoint) continue;
    std::optional<Serving> serving;
    const auto part = std::ranges::find(migration.apis, api->identity.uuid, &ApiBinding::api);
    if (takes_part(migration, *api)) serving.emplace(state, *part);
    for (const TemplateBinding& own : api->spec.bindings) {
      const TemplateDefinition& definition = *state.templates.at(own.template_ref);
      AskedTemplate& one = asked.emplace_back(
          AskedTemplate{api.get(), &definition, nullptr, {.query = definition.spec.query}});
      one.entry.api = api->identity.id;
      if (!serving) continue;
      const auto found = serving->of(own);
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
                            [](const ApiSet::Entry& one, ApiSet::Entry other) {
                              other.api = one.api;
                              return one == other || (one.query == other.query && !one.moves);
                            });
}

}  // namespace crossfade
