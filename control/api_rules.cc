// Apis beside their templates.
#include "control/api_rules.h"

#include <algorithm>
#include <set>

namespace crossfade {

namespace {

const TemplateDefinition& template_of(const State& state, const TemplateBinding& binding) {
  return *state.templates.at(binding.template_ref);
}

Status check_binding(const ApiSpec& spec, const TemplateBinding& binding,
                     const TemplateDefinition& definition, const std::string& path) {
  const std::vector<FieldSpec>& fields = definition.meaning.fields;
  for (const auto& [from, to] : binding.fields) {
    if (find_field(fields, from) != nullptr) continue;
    return error_at(path,
                    quoted(from) + " is no field of template " + quoted(definition.identity.id));
  }
  if (spec.fields.empty()) return success();
  for (const FieldSpec& field : fields) {
    if (find_field(spec.fields, mapped(binding, field.name)) != nullptr) continue;
    return error_at(path, "field " + quoted(field.name) + " of template " +
                              quoted(definition.identity.id) +
                              " is none of the api's: map it to one of them");
  }
  return success();
}

}  // namespace

Result<std::vector<TemplateBinding>> resolved(const State& state,
                                              std::vector<TemplateBinding> bindings) {
  for (TemplateBinding& binding : bindings) {
    const TemplatePtr found = find(state.templates, binding.template_ref);
    if (found == nullptr) {
      return Error{Errc::NotFound, "",
                   "Template " + quoted(binding.template_ref) + " does not exist"};
    }
    binding.template_ref = found->identity.uuid;
  }
  return bindings;
}

Result<ApiSpec> resolved(const State& state, ApiSpec spec) {
  auto bindings = resolved(state, std::move(spec.bindings));
  if (!bindings) return bindings.error();
  spec.bindings = std::move(*bindings);
  return spec;
}

Status check_api(const State& state, const ApiSpec& spec, const std::string& path) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < spec.bindings.size(); ++i) {
    const TemplateBinding& binding = spec.bindings[i];
    const TemplateDefinition& definition = template_of(state, binding);
    const std::string place = join_path(join_path(path, "bindings"), i);
    if (!seen.insert(binding.template_ref).second) {
      return error_at(join_path(place, "template"),
                      quoted(definition.identity.id) + " is bound twice");
    }
    const TemplateDefinition& first = template_of(state, spec.bindings.front());
    if (definition.spec.endpoint != first.spec.endpoint) {
      return error_at(join_path(place, "template"),
                      quoted(definition.identity.id) + " is of another endpoint than " +
                          quoted(first.identity.id) + ": an api has one");
    }
    if (Status status = check_binding(spec, binding, definition, join_path(place, "fields"));
        !status) {
      return status;
    }
  }
  return success();
}

std::vector<FieldSpec> fields_of(const State& state, const ApiSpec& spec) {
  if (!spec.fields.empty()) return spec.fields;
  std::vector<FieldSpec> fields;
  for (const TemplateBinding& binding : spec.bindings) {
    for (FieldSpec field : template_of(state, binding).meaning.fields) {
      field.name = mapped(binding, field.name);
      if (find_field(fields, field.name) == nullptr) fields.push_back(std::move(field));
    }
  }
  return fields;
}

const std::string& endpoint_of(const State& state, const ApiSpec& spec) {
  return template_of(state, spec.bindings.front()).spec.endpoint;
}

std::vector<ApiPtr> in_order(const State& state) {
  std::vector<ApiPtr> apis;
  for (const auto& [uuid, api] : state.apis) apis.push_back(api);
  std::ranges::sort(
      apis, [](const ApiPtr& one, const ApiPtr& other) { return comes_before(*one, *other); });
  return apis;
}

}  // namespace crossfade
