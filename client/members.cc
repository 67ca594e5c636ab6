// Where a word is cut, and how deep a path goes.
#include "client/members.h"

#include <string_view>

#include "control/json/parse.h"

namespace crossfade {

namespace {

Error bad_word(std::string_view path, const std::string& reason) {
  return Error{Errc::BadInput, "member '" + std::string(path) + "'", reason};
}

// The object that stands at `name` in `object`, made if there is nothing; nullptr where there is
// something else.
Json* object_at(Json& object, std::string_view name) {
  if (object.find(name) == nullptr) object.set(name, Json::object({}));
  for (auto& [given, member] : *object.members()) {
    if (given == name) return member.members() == nullptr ? nullptr : &member;
  }
  return nullptr;
}

Status set_member(std::string_view path, Json value, Json& body) {
  Json* at = &body;
  std::string_view rest = path;
  for (std::size_t dot = rest.find('.'); dot != rest.npos; dot = rest.find('.')) {
    const std::string_view name = rest.substr(0, dot);
    if (name.empty()) return bad_word(path, "has an empty name");
    at = object_at(*at, name);
    if (at == nullptr) {
      return bad_word(path, "'" + std::string(name) + "' is given as something else before it");
    }
    rest.remove_prefix(dot + 1);
  }
  if (rest.empty()) return bad_word(path, "has an empty name");
  at->set(rest, std::move(value));
  return success();
}

}  // namespace

bool gives_member(const std::string& word) { return word.find('=') != word.npos; }

Status set_members(std::span<const std::string> words, Json& body) {
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == word.npos) return bad_word(word, "expected NAME=TEXT or NAME:=JSON");
    const bool json = equals > 0 && word[equals - 1] == ':';
    const std::string_view path = std::string_view(word).substr(0, json ? equals - 1 : equals);
    Json value = std::string_view(word).substr(equals + 1);
    if (json) {
      auto parsed = parse_json(*value.string());
      if (!parsed) return bad_word(path, parsed.error().message());
      value = std::move(*parsed);
    }
    if (const Status set = set_member(path, std::move(value), body); !set) return set;
  }
  return success();
}

}  // namespace crossfade
