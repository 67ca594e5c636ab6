// The only file that includes simdjson.
#include "control/json/parse.h"

#include <simdjson.h>

#include <set>

#include "control/json/locate.h"

namespace crossfade {

namespace {

namespace dom = simdjson::dom;

Error bad(std::string reason) { return Error{Errc::BadInput, "", std::move(reason)}; }

// Copies the parser's elements into plain data, with the path of where it is, for messages.
class Converter {
 public:
  Result<Json> convert(dom::element element) {
    switch (element.type()) {
      case dom::element_type::ARRAY:
        return array(element.get_array().value_unsafe());
      case dom::element_type::OBJECT:
        return object(element.get_object().value_unsafe());
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
    return bad(path_ + ": is of no known type");
  }

 private:
  Result<Json> object(dom::object object) {
    Json::Object members;
    std::set<std::string_view> names;
    const std::size_t path_size = path_.size();
    for (const dom::key_value_pair member : object) {
      if (!path_.empty()) path_ += '.';
      path_ += member.key;
      if (!names.insert(member.key).second) return bad(path_ + ": is given twice");
      auto value = convert(member.value);
      if (!value) return value.error();
      members.emplace_back(std::string(member.key), std::move(*value));
      path_.resize(path_size);
    }
    return Json(std::move(members));
  }

  Result<Json> array(dom::array array) {
    Json::Array elements;
    const std::size_t path_size = path_.size();
    for (const dom::element element : array) {
      path_ += '[' + std::to_string(elements.size()) + ']';
      auto value = convert(element);
      if (!value) return value.error();
      elements.push_back(std::move(*value));
      path_.resize(path_size);
    }
    return Json(std::move(elements));
  }

  std::string path_;
};

}  // namespace

Result<Json> parse_json(std::string_view text) {
  dom::parser parser;
  // The parser does not count an empty array at the bottom, so it stops there or one level earlier;
  // either is a refusal, and none passes that the scanner would refuse.
  simdjson::error_code code = parser.allocate(text.size() + 1, kJsonDepthMax);
  dom::element root;
  if (code == simdjson::SUCCESS) code = parser.parse(simdjson::padded_string(text)).get(root);
  if (code != simdjson::SUCCESS) {
    const auto flaw = find_flaw(text, kJsonDepthMax);
    if (flaw) return bad("malformed JSON at " + describe(*flaw, text));
    // Of good form and refused all the same: a number that no type of ours can hold.
    return bad(std::string("malformed JSON: ") + simdjson::error_message(code));
  }
  return Converter().convert(root);
}

}  // namespace crossfade
