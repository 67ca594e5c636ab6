// Templates: parameterised operations of an endpoint, "GET user:{{id}}".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/definitions/identity.h"
#include "control/json/value.h"
#include "protocols/base/kind.h"
#include "protocols/base/result.h"
#include "strategies/table.h"

namespace crossfade {

// A field as it is described to people and to bindings; matching does not look at it.
struct FieldSpec {
  std::string name;
  std::string type = "string";  // string | integer | number | boolean
  bool required = true;         // false: a template that is rendered again may leave it out

  bool operator==(const FieldSpec&) const = default;
};

// What a caller or the configuration file declares.
struct TemplateSpec {
  std::string id;
  std::string endpoint;      // id or uuid, as it was given
  std::optional<Kind> kind;  // Read or Write; nullopt: as the query says
  std::string query;
  std::vector<FieldSpec> fields;  // those that are described; the query may have others
  std::string description;

  bool operator==(const TemplateSpec&) const = default;
};

// What a query says, with what was said of it.
struct TemplateMeaning {
  EndpointKind protocol = EndpointKind::Redis;
  Kind kind = Kind::Write;        // Read or Write
  std::vector<FieldSpec> fields;  // all of the query, in order
};

struct TemplateDefinition {
  Identity identity;
  TemplateSpec spec;  // spec.id == identity.id; spec.endpoint is a uuid
  TemplateMeaning meaning;
};

// Reads {"id", "endpoint", "kind"?, "query", "fields"?, "description"?} as POST takes it; `path` is
// where it stands in its document.
//   errors  BadInput with the path; whether the query says anything is meaning_of()'s to find out
Result<TemplateSpec> read_template(const Json& body, const std::string& path);

// Applies a PATCH body on top of `spec`. Null takes `kind` and `fields` back.
Result<TemplateSpec> patch_template(const TemplateSpec& spec, const Json& body);

// What it means at an endpoint that speaks this protocol.
//   errors  BadInput with the path: "query: has …", "fields[1].name: …", "kind: …"
Result<TemplateMeaning> meaning_of(const TemplateSpec& spec, EndpointKind protocol,
                                   const std::string& path);

// The same of a definition that is made now: the kind that it says has to be one that its query can
// have, where meaning_of() takes the query's word.
Result<TemplateMeaning> new_meaning_of(const TemplateSpec& spec, EndpointKind protocol,
                                       const std::string& path);

const FieldSpec* find_field(const std::vector<FieldSpec>& fields, std::string_view name);

// An array of {"name", "type"?, "required"?}, no name twice.
Result<std::vector<FieldSpec>> read_fields(const Json& json, const std::string& path);
Json render(const std::vector<FieldSpec>& fields);

// For the store. As GET shows it is the service's to say, as that needs more than the template.
Json to_stored(const TemplateDefinition& definition);
Result<TemplateDefinition> template_from_stored(const Json& stored);

// "Read" | "Write".
const char* template_word(Kind kind);

}  // namespace crossfade
