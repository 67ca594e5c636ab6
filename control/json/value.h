// A JSON value as plain data: what requests are parsed into and answers are built from.
//
// Members keep their order. Numbers keep what they were: an integer stays one, 0.05 stays 0.05.
// Knows nothing of text; see parse.h and write.h.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace crossfade {

class Json {
 public:
  using Array = std::vector<Json>;
  using Member = std::pair<std::string, Json>;
  using Object = std::vector<Member>;

  Json() : held_(nullptr) {}
  Json(std::nullptr_t) : held_(nullptr) {}
  Json(bool value) : held_(value) {}
  Json(double value) : held_(value) {}
  Json(std::int64_t value) : held_(value) {}
  Json(std::uint64_t value) : held_(value) {}
  Json(std::uint32_t value) : held_(std::uint64_t{value}) {}
  Json(std::uint16_t value) : held_(std::uint64_t{value}) {}
  Json(int value) : held_(std::int64_t{value}) {}
  Json(std::string value) : held_(std::move(value)) {}
  Json(std::string_view value) : held_(std::string(value)) {}
  Json(const char* value) : held_(std::string(value)) {}
  Json(Array value) : held_(std::move(value)) {}
  Json(Object value) : held_(std::move(value)) {}

  static Json object(std::initializer_list<Member> members) { return Object(members); }
  static Json array() { return Array(); }

  bool is_null() const { return std::holds_alternative<std::nullptr_t>(held_); }
  const bool* boolean() const { return std::get_if<bool>(&held_); }
  const std::string* string() const { return std::get_if<std::string>(&held_); }
  const Array* elements() const { return std::get_if<Array>(&held_); }
  const Object* members() const { return std::get_if<Object>(&held_); }
  Array* elements() { return std::get_if<Array>(&held_); }
  Object* members() { return std::get_if<Object>(&held_); }

  bool is_number() const;
  // The number as a double; 0 for anything that is not one.
  double number() const;
  // True when it is a whole number in the given range, which it then stores.
  bool whole_number(std::uint64_t min, std::uint64_t max, std::uint64_t& value) const;

  // The member of that name; nullptr when there is none, or when this is not an object.
  const Json* find(std::string_view name) const;
  // Sets a member of an object: replaces the one of that name, or appends. An object is required.
  void set(std::string_view name, Json value);
  // Removes a member if there is one. An object is required.
  void erase(std::string_view name);
  // Appends to an array. An array is required.
  void push(Json value);

  // "null", "a boolean", "a number", "a string", "an array", "an object": for messages.
  const char* sort() const;

  // For write.h.
  template <class Visitor>
  decltype(auto) visit(Visitor&& visitor) const {
    return std::visit(std::forward<Visitor>(visitor), held_);
  }

  bool operator==(const Json&) const = default;

 private:
  std::variant<std::nullptr_t, bool, std::int64_t, std::uint64_t, double, std::string, Array,
               Object>
      held_;
};

template <class Value>
Json or_null(const std::optional<Value>& value) {
  return value ? Json(*value) : Json();
}

}  // namespace crossfade
