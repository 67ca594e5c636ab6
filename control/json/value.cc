// Access to the parts of a JSON value.
#include "control/json/value.h"

#include <algorithm>
#include <cassert>

namespace crossfade {

bool Json::is_number() const {
  return std::holds_alternative<std::int64_t>(held_) ||
         std::holds_alternative<std::uint64_t>(held_) || std::holds_alternative<double>(held_);
}

double Json::number() const {
  if (const auto* whole = std::get_if<std::int64_t>(&held_)) return static_cast<double>(*whole);
  if (const auto* large = std::get_if<std::uint64_t>(&held_)) return static_cast<double>(*large);
  if (const auto* real = std::get_if<double>(&held_)) return *real;
  return 0;
}

bool Json::whole_number(std::uint64_t min, std::uint64_t max, std::uint64_t& value) const {
  std::uint64_t read = 0;
  if (const auto* whole = std::get_if<std::int64_t>(&held_)) {
    if (*whole < 0) return false;
    read = static_cast<std::uint64_t>(*whole);
  } else if (const auto* large = std::get_if<std::uint64_t>(&held_)) {
    read = *large;
  } else {
    return false;  // 5.0 is refused where a count is asked for: it is more likely a mistake than a
                   // count
  }
  if (read < min || read > max) return false;
  value = read;
  return true;
}

const Json* Json::find(std::string_view name) const {
  const Object* object = members();
  if (object == nullptr) return nullptr;
  const auto found = std::find_if(object->begin(), object->end(),
                                  [&](const Member& member) { return member.first == name; });
  return found == object->end() ? nullptr : &found->second;
}

void Json::set(std::string_view name, Json value) {
  Object* object = members();
  assert(object != nullptr);
  for (Member& member : *object) {
    if (member.first == name) {
      member.second = std::move(value);
      return;
    }
  }
  object->emplace_back(std::string(name), std::move(value));
}

void Json::erase(std::string_view name) {
  Object* object = members();
  assert(object != nullptr);
  std::erase_if(*object, [&](const Member& member) { return member.first == name; });
}

void Json::push(Json value) {
  Array* array = elements();
  assert(array != nullptr);
  array->push_back(std::move(value));
}

const char* Json::sort() const {
  if (is_null()) return "null";
  if (boolean() != nullptr) return "a boolean";
  if (string() != nullptr) return "a string";
  if (elements() != nullptr) return "an array";
  if (members() != nullptr) return "an object";
  return "a number";
}

}  // namespace crossfade
