// Bindings of an api to templates of its new side.
#include "control/service/migration_apis.h"

#include <algorithm>
#include <set>

#include "control/api_rules.h"
#include "control/service/apis.h"

namespace crossfade {

namespace {

std::string quoted(const std::string& id) { return "'" + id + "'"; }

bool is_own(const ApiDefinition& api, const TemplateBinding& binding) {
  return std::ranges::any_of(api.spec.bindings, [&](const TemplateBinding& own) {
    return own.template_ref == binding.template_ref;
  });
}

// What a template of the new side asks for.
Status check_other(const State& state, const ApiDefinition& api, const TemplateBinding& binding,
                   const std::string& place) {
  const TemplateDefinition& definition = *state.templates.at(binding.template_ref);
  const std::string& home = endpoint_of(state, api.spec);
  const std::string path = join_path(place, "template");
  const std::string id = quoted(definition.identity.id);
  if (definition.spec.endpoint == home) {
    return error_at(path, id + " is none of the api's, and of the endpoint that serves it already");
  }
  if (definition.meaning.protocol != state.endpoints.at(home)->address.kind) {
    return error_at(path, id + " is of a " + name_of(definition.meaning.protocol) + " endpoint");
  }
  const std::vector<FieldSpec> fields = fields_of(state, api.spec);
  for (const FieldSpec& field : definition.meaning.fields) {
    if (!field.required || find_field(fields, mapped(binding, field.name)) != nullptr) continue;
    return error_at(join_path(place, "fields"), "field " + quoted(field.name) + " of template " +
                                                    id +
                                                    " is none of the api's: map it to one of them");
  }
  return success();
}

Status check_mapping(const TemplateDefinition& definition, const TemplateBinding& binding,
                     const std::string& place) {
  for (const auto& [from, to] : binding.fields) {
    if (find_field(definition.meaning.fields, from) != nullptr) continue;
    return error_at(join_path(place, "fields"),
                    quoted(from) + " is no field of template " + quoted(definition.identity.id));
  }
  return success();
}

}  // namespace

Result<ApiBinding> read_api_binding(const State& state, const ApiDefinition& api,
                                    const Json& body) {
  Fields fields(body, "");
  ApiBinding binding{.api = api.identity.uuid, .bindings = {}};
  const auto id = fields.string("id", kIdMax);
  if (id && *id != api.identity.id && *id != api.identity.uuid) {
    fields.complain("id", "is not the api of the path");
  }
  const Json* json = fields.required("bindings");
  if (auto error = fields.finish()) return *error;
  auto read = read_bindings(*json, "bindings");
  if (!read) return read.error();
  auto known = resolved(state, std::move(*read));
  if (!known) return known.error();
  binding.bindings = std::move(*known);
  if (Status status = check_api_binding(state, binding, ""); !status) return status.error();
  return binding;
}

Status check_api_binding(const State& state, const ApiBinding& binding, const std::string& path) {
  const ApiDefinition& api = *state.apis.at(binding.api);
  std::set<std::string> seen;
  const TemplateDefinition* other = nullptr;  // the first that is none of the api's
  for (std::size_t i = 0; i < binding.bindings.size(); ++i) {
    const TemplateBinding& one = binding.bindings[i];
    const TemplateDefinition& definition = *state.templates.at(one.template_ref);
    const std::string place = join_path(join_path(path, "bindings"), i);
    if (!seen.insert(one.template_ref).second) {
      return error_at(join_path(place, "template"),
                      quoted(definition.identity.id) + " is bound twice");
    }
    if (Status status = check_mapping(definition, one, place); !status) return status;
    if (is_own(api, one)) continue;
    if (Status status = check_other(state, api, one, place); !status) return status;
    if (other == nullptr) other = &definition;
    if (definition.spec.endpoint != other->spec.endpoint) {
      return error_at(join_path(place, "template"),
                      quoted(definition.identity.id) + " is of another endpoint than " +
                          quoted(other->identity.id) + ": an api has one new side");
    }
  }
  return success();
}

Status check_api_bindings(const State& state) {
  for (const auto& [uuid, migration] : state.migrations) {
    for (const ApiBinding& binding : migration->apis) {
      const std::string& api = state.apis.at(binding.api)->identity.id;
      const Status status = check_api_binding(state, binding, "");
      if (status) continue;
      return Error{Errc::Conflict, "",
                   "Api '" + api + "' would not fit migration '" + migration->identity.id +
                       "': " + status.error().reason};
    }
  }
  return success();
}

Json shown_apis(const State& state, const Migration& migration, bool verbose) {
  Json apis = Json::array();
  for (const ApiBinding& binding : migration.apis) {
    const ApiDefinition& api = *state.apis.at(binding.api);
    Json one = Json::object({{"id", api.identity.id}, {"uuid", api.identity.uuid}});
    Json bindings = shown_bindings(state, binding.bindings);
    if (verbose) {
      one = shown(state, api);
      one.set("migration", Json::object({{"id", migration.identity.id},
                                         {"uuid", migration.identity.uuid},
                                         {"status", name_of(migration.status)},
                                         {"bindings", std::move(bindings)}}));
    } else {
      one.set("bindings", std::move(bindings));
    }
    apis.push(std::move(one));
  }
  return apis;
}

}  // namespace crossfade
