// Apis from JSON, and to the store and back.
#include "control/definitions/api.h"

#include <algorithm>
#include <tuple>

#include "protocols/base/template_text.h"

namespace crossfade {

namespace {

using FieldMap = std::vector<std::pair<std::string, std::string>>;

Status add_mapping(FieldMap& into, const std::string& from, const Json& to,
                   const std::string& path) {
  if (to.string() == nullptr || !is_field_name(*to.string()) || !is_field_name(from)) {
    return error_at(path, "must map a field of the template to the name of a field of the api");
  }
  for (const auto& [known, ignored] : into) {
    if (known == from) return error_at(path, "maps field '" + from + "' twice");
  }
  into.emplace_back(from, *to.string());
  return success();
}

// {"of the template": "of the api"} | [["of the template", "of the api"], …]
Result<FieldMap> read_map(const Json& json, const std::string& path) {
  FieldMap read;
  if (json.is_null()) return read;
  if (const Json::Object* members = json.members()) {
    for (const auto& [from, to] : *members) {
      if (Status status = add_mapping(read, from, to, path); !status) return status.error();
    }
    return read;
  }
  const Json::Array* pairs = json.elements();
  if (pairs == nullptr) return error_at(path, "must be an object, or an array of pairs");
  for (std::size_t i = 0; i < pairs->size(); ++i) {
    const Json::Array* pair = (*pairs)[i].elements();
    const std::string place = join_path(path, i);
    if (pair == nullptr || pair->size() != 2 || (*pair)[0].string() == nullptr) {
      return error_at(place, "must be a pair of names: of the template's field, of the api's");
    }
    if (Status status = add_mapping(read, *(*pair)[0].string(), (*pair)[1], place); !status) {
      return status.error();
    }
  }
  return read;
}

Result<TemplateBinding> read_binding(const Json& json, const std::string& path) {
  Fields fields(json, path);
  TemplateBinding binding;
  const bool older = fields.optional("template_id") != nullptr;
  const bool newer = fields.optional("template") != nullptr;
  if (older && newer) fields.complain("template", "is given beside template_id: give one of them");
  binding.template_ref = fields.required_string(older ? "template_id" : "template", kIdMax);
  if (const Json* map = fields.optional("fields")) {
    fields.take(read_map(*map, fields.path_of("fields")), binding.fields);
  }
  if (auto error = fields.finish()) return *error;
  return binding;
}

// The members that POST and PATCH share; absent ones stay as they are.
void read_members(Fields& fields, ApiSpec& spec) {
  if (const Json* json = fields.optional("fields")) {
    fields.take(read_fields(*json, fields.path_of("fields")), spec.fields);
  }
  if (const Json* json = fields.optional("bindings")) {
    fields.take(read_bindings(*json, fields.path_of("bindings")), spec.bindings);
  }
  if (fields.optional("description") != nullptr) {
    spec.description = fields.string("description", kDescriptionMax).value_or("");
  }
}

}  // namespace

bool comes_before(const ApiDefinition& one, const ApiDefinition& other) {
  const auto rank = [](const ApiDefinition& api) {
    return std::tuple(api.identity.origin == Origin::File ? 0 : 1, api.order);
  };
  return rank(one) < rank(other);
}

Result<ApiSpec> read_api(const Json& body, const std::string& path) {
  Fields fields(body, path);
  ApiSpec spec;
  spec.id = read_id(fields, "id");
  fields.required("bindings");
  read_members(fields, spec);
  if (auto error = fields.finish()) return *error;
  return spec;
}

Result<ApiSpec> patch_api(const ApiSpec& spec, const Json& body) {
  Fields fields(body, "");
  ApiSpec patched = spec;
  const auto id = fields.string("id", kIdMax);
  if (id && *id != spec.id) fields.complain("id", "can not be changed");
  read_members(fields, patched);
  if (auto error = fields.finish()) return *error;
  return patched;
}

Result<std::vector<TemplateBinding>> read_bindings(const Json& json, const std::string& path) {
  if (json.elements() == nullptr) {
    return error_at(path, std::string("must be an array, is ") + json.sort());
  }
  const Json::Array& elements = *json.elements();
  if (elements.empty()) return error_at(path, "must name at least one template");
  if (elements.size() > kBindingsMax) return error_at(path, "has more than 1024 bindings");
  std::vector<TemplateBinding> read;
  for (std::size_t i = 0; i < elements.size(); ++i) {
    auto binding = read_binding(elements[i], join_path(path, i));
    if (!binding) return binding.error();
    read.push_back(std::move(*binding));
  }
  return read;
}

const std::string& mapped(const TemplateBinding& binding, const std::string& field) {
  for (const auto& [from, to] : binding.fields) {
    if (from == field) return to;
  }
  return field;
}

Json stored_bindings(const std::vector<TemplateBinding>& bindings) {
  Json json = Json::array();
  for (const TemplateBinding& binding : bindings) {
    Json fields = Json::object({});
    for (const auto& [from, to] : binding.fields) fields.set(from, to);
    json.push(Json::object({{"template", binding.template_ref}, {"fields", std::move(fields)}}));
  }
  return json;
}

Json to_stored(const ApiDefinition& api) {
  Json stored = Json::object({});
  store_identity(api.identity, stored);
  stored.set("fields", render(api.spec.fields));
  stored.set("bindings", stored_bindings(api.spec.bindings));
  stored.set("description", api.spec.description);
  stored.set("order", api.order);
  return stored;
}

Result<ApiDefinition> api_from_stored(const Json& stored) {
  Fields fields(stored, "api");
  ApiDefinition api;
  api.identity = stored_identity(fields);
  api.spec.id = api.identity.id;
  fields.required("bindings");
  read_members(fields, api.spec);
  api.order = fields.whole("order", 0, UINT64_MAX).value_or(0);
  if (auto error = fields.finish()) return *error;
  return api;
}

}  // namespace crossfade
