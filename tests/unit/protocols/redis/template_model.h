// What it is to match a template, by trying everything: the judge of TemplateSet.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/template.h"
#include "tests/unit/protocols/redis/bytes.h"

namespace crossfade::redis {

// The values of one argument's fields, each as short as what follows allows.
using Values = std::map<std::string, std::string>;

inline std::optional<Values> model_argument(const Template::Argument& argument, std::size_t piece,
                                            std::string_view text) {
  if (piece == argument.size()) return text.empty() ? std::optional(Values()) : std::nullopt;
  const TextPiece& one = argument[piece];
  if (one.what == TextPiece::What::Literal) {
    if (!text.starts_with(one.text)) return std::nullopt;
    return model_argument(argument, piece + 1, text.substr(one.text.size()));
  }
  for (std::size_t size = 1; size <= text.size(); ++size) {
    auto rest = model_argument(argument, piece + 1, text.substr(size));
    if (!rest) continue;
    rest->emplace(one.text, text.substr(0, size));
    return rest;
  }
  return std::nullopt;
}

inline std::string model_lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

inline std::optional<Values> model_match(const Template& form, const Words& words) {
  if (words.size() != form.arguments.size()) return std::nullopt;
  Values values;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string word = i < form.words ? model_lower(words[i]) : words[i];
    const auto here = model_argument(form.arguments[i], 0, word);
    if (!here) return std::nullopt;
    for (const auto& [name, value] : *here) {
      if (const auto [at, fresh] = values.emplace(name, value); !fresh && at->second != value) {
        return std::nullopt;
      }
    }
  }
  return values;
}

// The first of them that matches.
inline std::optional<std::uint32_t> model_match(const std::vector<Template>& forms,
                                                const Words& words) {
  for (std::uint32_t i = 0; i < forms.size(); ++i) {
    if (model_match(forms[i], words)) return i;
  }
  return std::nullopt;
}

}  // namespace crossfade::redis
