// The only file that includes simdjson.
#include "control/json/parse.h"

#include <simdjson.h>

#include <set>

#include "control/json/locate.h"

namespace crossfade {

namespace {

namespace dom = simdjson::dom;

Error bad(std::string reason) { return Error{Errc::BadInput, "", std::move(reason)}; }

// Copies the parser's element into plain data; `path` is kept up to date for messages.
Result<Json> convert(dom::element element, std::string& path);

Result<Json> convert_object(dom::object object, std::string& path) {
  Json::Object members;
  std::set<std::string_view> names;
  const std::size_t path_size = path.size();
  for (const dom::key_value_pair member : object) {
    if (!path.empty()) path += '.';
    path += member.key;
    if (!names.insert(member.key).second) return bad(path + ": is given twice");
    auto value = convert(member.value, path);
    if (!value) return value.error();
    members.emplace_back(std::string(member.key), std::move(*value));
    path.resize(path_size);
  }
  return Json(std::move(members));
}

Result<Json> convert_array(dom::array array, std::string& path) {
  Json::Array elements;
  const std::size_t path_size = path.size();
  for (const dom::element element : array) {
    path += '[' + std::to_string(elements.size()) + ']';
    auto value = convert(element, path);
    if (!value) return value.error();
    elements.push_back(std::move(*value));
    path.resize(path_size);
  }
  return Json(std::move(elements));
}

Result<Json> convert(dom::element element, std::string& path) {
  switch (element.type()) {
    case dom::element_type::ARRAY:
      return convert_array(element.get_array().value_unsafe(), path);
    case dom::element_type::OBJECT:
      return convert_object(element.get_object().value_unsafe(), path);
    case dom::element_type::INT64:
      return Json(element.get_int64().value_unsafe());
    case dom::element_type::UINT64:
      return Json(element.get_uint64().value_unsafe());
    case dom::element_type::DOUBLE:
      return Json(element.get_double().value_unsafe());
    case dom::element_type::STRING:
      return Json(element.get_string().value_unsafe());
    case dom::element_type::BOOL:
      return Json(element.get_bool().value_unsafe());
    case dom::element_type::NULL_VALUE:
      return Json();
  }
  return bad(path + ": is of no known type");
}

}  // namespace

Result<Json> parse_json(std::string_view text) {
  dom::parser parser;
  // One level more than ours: a document at the limit must not depend on how the parser counts.
  simdjson::error_code code = parser.allocate(text.size() + 1, kJsonDepthMax + 1);
  dom::element root;
  if (code == simdjson::SUCCESS) {
    code = parser.parse(simdjson::padded_string(text)).get(root);
  }
  const auto flaw = find_flaw(text, kJsonDepthMax);
  if (flaw) return bad("malformed JSON at " + describe(*flaw, text));
  // A document without a flaw of form that is refused all the same: a number out of range.
  if (code != simdjson::SUCCESS) {
    return bad(std::string("malformed JSON: ") + simdjson::error_message(code));
  }
  std::string path;
  return convert(root, path);
}

}  // namespace crossfade
