// Text with fields in it, as templates write it: "user:{{id}}:name".
//
// Two braces begin a field, always: of more than two, the inner ones do, so that "{user:{{id}}}" is
// a field within one pair of braces (a hash tag of Redis Cluster).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/result.h"

namespace crossfade {

inline constexpr std::size_t kTemplateMax = 16 * 1024;  // bytes of a template's query
inline constexpr std::size_t kFieldNameMax = 64;        // bytes
inline constexpr std::size_t kFieldsMax = 256;          // places of fields in one template

// 1 to kFieldNameMax letters, digits, '_', '-' or '.'.
bool is_field_name(std::string_view name);

// A field as it stands in a text: "{{id}}".
struct FieldPlace {
  std::size_t begin;  // of its first brace
  std::size_t end;    // behind its last one
  std::string_view name;
};
// The first field at or behind `from`; nullopt: there is none.
//   errors  BadInput: two braces begin no field
Result<std::optional<FieldPlace>> next_field(std::string_view text, std::size_t from);

struct TextPiece {
  enum class What { Literal, Field } what;
  std::string text;  // as it is, or the field's name

  bool operator==(const TextPiece&) const = default;
};
// All of `text` in pieces, no literal empty and no two of them side by side.
//   errors  BadInput: two braces begin no field
Result<std::vector<TextPiece>> cut_text(std::string_view text);

}  // namespace crossfade
