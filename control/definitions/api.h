// Apis: named classes of traffic, by the templates that their requests match.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "control/definitions/identity.h"
#include "control/definitions/template.h"
#include "control/json/value.h"
#include "protocols/base/result.h"

namespace crossfade {

inline constexpr std::size_t kBindingsMax = 1024;  // of one api

// A template, and which field of an api each of its fields is. A field that is not mapped is the
// api's of its own name.
struct TemplateBinding {
  std::string template_ref;  // id or uuid as it was given; of what exists, the uuid
  std::vector<std::pair<std::string, std::string>> fields;  // of the template, of the api

  bool operator==(const TemplateBinding&) const = default;
};

// What a caller or the configuration file declares.
struct ApiSpec {
  std::string id;
  std::vector<FieldSpec> fields;  // empty: those of its templates
  std::vector<TemplateBinding> bindings;
  std::string description;

  bool operator==(const ApiSpec&) const = default;
};

struct ApiDefinition {
  Identity identity;
  ApiSpec spec;  // spec.id == identity.id; its bindings name uuids
  // Grows with each api: the first one that a request matches has it. Those of the configuration
  // file come before all others, in its order.
  std::uint64_t order = 0;
};

// True where `one` is asked before `other` whether a request is its own.
bool comes_before(const ApiDefinition& one, const ApiDefinition& other);

// Reads {"id", "fields"?, "bindings": [{"template"|"template_id", "fields"?}], "description"?} as
// POST takes it.
//   errors  BadInput with the path
Result<ApiSpec> read_api(const Json& body, const std::string& path);

// Applies a PATCH body on top of `spec`; fields and bindings are replaced as a whole.
Result<ApiSpec> patch_api(const ApiSpec& spec, const Json& body);

// An array of bindings, at least one, no template twice.
Result<std::vector<TemplateBinding>> read_bindings(const Json& json, const std::string& path);

// The field of the api that a field of the template is.
const std::string& mapped(const TemplateBinding& binding, const std::string& field);

// For the store.
Json to_stored(const ApiDefinition& api);
Result<ApiDefinition> api_from_stored(const Json& stored);
Json stored_bindings(const std::vector<TemplateBinding>& bindings);

}  // namespace crossfade
