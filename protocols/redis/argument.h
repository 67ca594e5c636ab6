// One argument of a template, and what texts it stands for: "user:{{id}}:name".
//
// A field stands for at least one byte; of several each is as short as what follows it allows.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/template.h"

namespace crossfade::redis {

bool is_field(const TextPiece& piece);
// One text and no field.
bool is_exact(const Template::Argument& argument);

// What all its texts begin and end with; of an exact one the whole is the prefix. Views into it.
std::string_view prefix_of(const Template::Argument& argument);
std::string_view suffix_of(const Template::Argument& argument);

// What stays of it when the names of its fields are taken away: equal shapes have equal texts.
std::vector<std::string> shape_of(const Template::Argument& argument);

// The place of `wanted` at or behind `from`, or npos. Linear, whatever the texts are.
std::size_t find_text(std::string_view text, std::size_t from, std::string_view wanted);

// Calls visit(index of a field's piece, its value) for each; false: `text` is no such argument, and
// what was visited means nothing.
template <class Visit>
bool split(const Template::Argument& argument, std::string_view text, Visit&& visit) {
  if (is_exact(argument)) return argument[0].text == text;
  const std::string_view prefix = prefix_of(argument);
  const std::string_view suffix = suffix_of(argument);
  if (text.size() <= prefix.size() + suffix.size()) return false;
  if (!text.starts_with(prefix) || !text.ends_with(suffix)) return false;
  const std::size_t end = text.size() - suffix.size();
  const std::string_view inner = text.substr(0, end);
  std::size_t at = prefix.size();
  for (std::size_t i = prefix.empty() ? 0 : 1; i < argument.size(); i += 2) {
    const bool last = i + 2 >= argument.size();
    const std::size_t close = last ? end : find_text(inner, at + 1, argument[i + 1].text);
    if (close == std::string_view::npos || close <= at) return false;
    visit(i, text.substr(at, close - at));
    if (last) break;
    at = close + argument[i + 1].text.size();
  }
  return true;
}

}  // namespace crossfade::redis
