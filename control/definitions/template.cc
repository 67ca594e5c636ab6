// Templates from JSON, and to the store and back.
#include "control/definitions/template.h"

#include <algorithm>

#include "protocols/base/ascii.h"
#include "protocols/base/template_text.h"
#include "protocols/postgres/template.h"
#include "protocols/redis/template.h"

namespace crossfade {

namespace {

Result<FieldSpec> read_field(const Json& json, const std::string& path) {
  Fields fields(json, path);
  FieldSpec field;
  field.name = fields.required_string("name", kFieldNameMax);
  if (!is_field_name(field.name)) {
    fields.complain("name", "must be 1 to 64 letters, digits, '_', '-' or '.'");
  }
  if (const auto type = fields.string("type", kWordMax)) {
    field.type = ascii_lower(*type);
    constexpr const char* kTypes[] = {"string", "integer", "number", "boolean"};
    if (std::ranges::find(kTypes, field.type) == std::end(kTypes)) {
      fields.complain("type", "must be string, integer, number or boolean");
    }
  }
  field.required = fields.boolean("required").value_or(true);
  if (auto error = fields.finish()) return *error;
  return field;
}

// The members that POST and PATCH share; absent ones stay as they are.
void read_members(Fields& fields, TemplateSpec& spec) {
  if (const Json* kind = fields.optional("kind"); kind != nullptr && kind->is_null()) {
    spec.kind.reset();
  }
  if (const auto word = fields.string("kind", kWordMax)) {
    const std::string kind = ascii_lower(*word);
    if (kind != "read" && kind != "write") fields.complain("kind", "must be Read or Write");
    spec.kind = kind == "read" ? Kind::Read : Kind::Write;
  }
  if (const Json* json = fields.optional("fields")) {
    fields.take(read_fields(*json, fields.path_of("fields")), spec.fields);
  }
  if (fields.optional("description") != nullptr) {
    spec.description = fields.string("description", kDescriptionMax).value_or("");
  }
}

// The kind and the names of the fields that a query says.
struct Told {
  Kind kind;
  std::vector<std::string> fields;
  std::optional<Kind> certain = {};  // nobody can know better
};
Result<Told> told_by(const std::string& query, EndpointKind protocol) {
  if (protocol == EndpointKind::Postgres) {
    const auto read = postgres::read_template(query);
    if (!read) return read.error();
    return Told{postgres::kind_of(read.value()), read.value().fields};
  }
  const auto read = redis::read_template(query);
  if (!read) return read.error();
  return Told{redis::kind_of(read.value()), read.value().fields, redis::certain_kind(read.value())};
}

}  // namespace

Result<TemplateSpec> read_template(const Json& body, const std::string& path) {
  Fields fields(body, path);
  TemplateSpec spec;
  spec.id = read_id(fields, "id");
  spec.endpoint = fields.required_string("endpoint", kIdMax);
  spec.query = fields.required_string("query", kTemplateMax);
  read_members(fields, spec);
  if (auto error = fields.finish()) return *error;
  return spec;
}

Result<TemplateSpec> patch_template(const TemplateSpec& spec, const Json& body) {
  Fields fields(body, "");
  TemplateSpec patched = spec;
  const auto id = fields.string("id", kIdMax);
  if (id && *id != spec.id) fields.complain("id", "can not be changed");
  if (const auto endpoint = fields.string("endpoint", kIdMax)) patched.endpoint = *endpoint;
  if (const auto query = fields.string("query", kTemplateMax)) patched.query = *query;
  read_members(fields, patched);
  if (auto error = fields.finish()) return *error;
  return patched;
}

Result<TemplateMeaning> meaning_of(const TemplateSpec& spec, EndpointKind protocol,
                                   const std::string& path) {
  const auto told = told_by(spec.query, protocol);
  if (!told) return error_at(join_path(path, "query"), told.error().reason);
  TemplateMeaning meaning{.protocol = protocol, .kind = told.value().kind, .fields = {}};
  const std::vector<std::string>& names = told.value().fields;
  for (std::size_t i = 0; i < spec.fields.size(); ++i) {
    if (std::ranges::find(names, spec.fields[i].name) != names.end()) continue;
    return error_at(join_path(join_path(join_path(path, "fields"), i), "name"),
                    "'" + spec.fields[i].name + "' is no field of the query");
  }
  for (const std::string& name : names) {
    const FieldSpec* said = find_field(spec.fields, name);
    meaning.fields.push_back(said != nullptr ? *said : FieldSpec{.name = name});
  }
  if (spec.kind && !told.value().certain) meaning.kind = *spec.kind;
  return meaning;
}

Result<TemplateMeaning> new_meaning_of(const TemplateSpec& spec, EndpointKind protocol,
                                       const std::string& path) {
  const auto told = told_by(spec.query, protocol);
  if (told && spec.kind && told.value().certain.value_or(*spec.kind) != *spec.kind) {
    return error_at(join_path(path, "kind"),
                    "the command of the query is a " +
                        std::string(told.value().kind == Kind::Read ? "Read" : "Write") +
                        ": say so, or leave kind out");
  }
  return meaning_of(spec, protocol, path);
}

const FieldSpec* find_field(const std::vector<FieldSpec>& fields, std::string_view name) {
  const auto found = std::ranges::find(fields, name, &FieldSpec::name);
  return found == fields.end() ? nullptr : &*found;
}

Result<std::vector<FieldSpec>> read_fields(const Json& json, const std::string& path) {
  std::vector<FieldSpec> read;
  if (json.is_null()) return read;
  if (json.elements() == nullptr) {
    return error_at(path, std::string("must be an array, is ") + json.sort());
  }
  if (json.elements()->size() > kFieldsMax) return error_at(path, "has more than 256 fields");
  for (std::size_t i = 0; i < json.elements()->size(); ++i) {
    const std::string place = join_path(path, i);
    auto field = read_field((*json.elements())[i], place);
    if (!field) return field.error();
    if (find_field(read, field->name) != nullptr) {
      return error_at(join_path(place, "name"), "'" + field->name + "' is given twice");
    }
    read.push_back(std::move(*field));
  }
  return read;
}

Json render(const std::vector<FieldSpec>& fields) {
  Json json = Json::array();
  for (const FieldSpec& field : fields) {
    json.push(
        Json::object({{"name", field.name}, {"type", field.type}, {"required", field.required}}));
  }
  return json;
}

const char* template_word(Kind kind) { return kind == Kind::Read ? "Read" : "Write"; }

Json to_stored(const TemplateDefinition& definition) {
  const TemplateSpec& spec = definition.spec;
  Json stored = Json::object({});
  store_identity(definition.identity, stored);
  stored.set("endpoint", spec.endpoint);
  stored.set("protocol", name_of(definition.meaning.protocol));
  if (spec.kind) stored.set("kind", template_word(*spec.kind));
  stored.set("query", spec.query);
  stored.set("fields", render(spec.fields));
  stored.set("description", spec.description);
  return stored;
}

Result<TemplateDefinition> template_from_stored(const Json& stored) {
  Fields fields(stored, "template");
  TemplateDefinition definition;
  TemplateSpec& spec = definition.spec;
  definition.identity = stored_identity(fields);
  spec.id = definition.identity.id;
  spec.endpoint = fields.required_string("endpoint", kIdMax);
  spec.query = fields.required_string("query", kTemplateMax);
  const bool sql = fields.required_string("protocol", kWordMax) == name_of(EndpointKind::Postgres);
  read_members(fields, spec);
  if (auto error = fields.finish()) return *error;
  auto meaning = meaning_of(spec, sql ? EndpointKind::Postgres : EndpointKind::Redis, "template");
  if (!meaning) return meaning.error();
  definition.meaning = std::move(*meaning);
  return definition;
}

}  // namespace crossfade
