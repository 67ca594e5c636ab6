// Members by name, complaints by path.
#include "control/json/fields.h"

#include <algorithm>

namespace crossfade {

std::string join_path(std::string_view path, std::string_view name) {
  std::string joined(path);
  if (!joined.empty() && !name.empty()) joined += '.';
  return joined.append(name);
}

std::string join_path(std::string_view path, std::size_t index) {
  return std::string(path) + '[' + std::to_string(index) + ']';
}

Error error_at(std::string_view path, std::string_view complaint) {
  std::string reason(path.empty() ? "the body" : path);
  return Error{Errc::BadInput, "", reason.append(": ").append(complaint)};
}

Fields::Fields(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {
  if (value.members() == nullptr) {
    error_ = error_at(path_, std::string("must be an object, is ") + value.sort());
  }
}

const Json* Fields::optional(std::string_view name) {
  known_.emplace_back(name);
  return error_ ? nullptr : value_->find(name);
}

const Json* Fields::required(std::string_view name) {
  const Json* member = optional(name);
  if (member == nullptr) complain(name, "is required");
  return member;
}

std::optional<std::string> Fields::string(std::string_view name, std::size_t size_max) {
  const Json* member = optional(name);
  if (member == nullptr || member->is_null()) return std::nullopt;
  const std::string* text = member->string();
  if (text == nullptr) {
    complain(name, std::string("must be a string, is ") + member->sort());
    return std::nullopt;
  }
  if (text->size() > size_max) {
    complain(name, "is longer than " + std::to_string(size_max) + " bytes");
    return std::nullopt;
  }
  return *text;
}

std::string Fields::required_string(std::string_view name, std::size_t size_max) {
  const bool had_failed = failed();
  auto text = string(name, size_max);
  if (!text && !had_failed) complain(name, "is required");
  return text.value_or("");
}

std::optional<bool> Fields::boolean(std::string_view name) {
  const Json* member = optional(name);
  if (member == nullptr || member->is_null()) return std::nullopt;
  if (member->boolean() == nullptr) {
    complain(name, std::string("must be true or false, is ") + member->sort());
    return std::nullopt;
  }
  return *member->boolean();
}

std::optional<std::uint64_t> Fields::whole(std::string_view name, std::uint64_t min,
                                           std::uint64_t max) {
  const Json* member = optional(name);
  if (member == nullptr || member->is_null()) return std::nullopt;
  std::uint64_t value = 0;
  if (!member->whole_number(min, max, value)) {
    complain(name,
             "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    return std::nullopt;
  }
  return value;
}

std::optional<double> Fields::share(std::string_view name) {
  const Json* member = optional(name);
  if (member == nullptr || member->is_null()) return std::nullopt;
  if (!member->is_number()) {
    complain(name, std::string("must be a number from 0 to 1, is ") + member->sort());
    return std::nullopt;
  }
  const double value = member->number();
  // Written so that a NaN fails.
  if (!(value >= 0 && value <= 1)) {
    complain(name, "must be a number from 0 to 1");
    return std::nullopt;
  }
  return value + 0.0;  // of -0.0, which is a share of nothing as 0.0 is: 0.0
}

double Fields::required_share(std::string_view name) {
  const bool had_failed = failed();
  const auto value = share(name);
  if (!value && !had_failed) complain(name, "is required");
  return value.value_or(0);
}

void Fields::complain(std::string_view name, std::string_view complaint) {
  take(error_at(path_of(name), complaint));
}

void Fields::take(const Error& error) {
  if (!error_) error_ = error;
}

std::optional<Error> Fields::finish() {
  if (error_) return error_;
  for (const auto& [name, value] : *value_->members()) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      return error_at(path_of(name), "is not a known field");
    }
  }
  return std::nullopt;
}

}  // namespace crossfade
