// Braces found two by two.
#include "protocols/base/template_text.h"

#include <algorithm>

namespace crossfade {

namespace {

Error no_field(const char* why) { return Error{Errc::BadInput, "", why}; }

bool in_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

}  // namespace

bool is_field_name(std::string_view name) {
  return !name.empty() && name.size() <= kFieldNameMax &&
         std::all_of(name.begin(), name.end(), in_name);
}

Result<std::optional<FieldPlace>> next_field(std::string_view text, std::size_t from) {
  std::size_t begin = text.find("{{", from);
  if (begin == text.npos) return std::optional<FieldPlace>();
  while (begin + 2 < text.size() && text[begin + 2] == '{') ++begin;
  const std::size_t close = text.find("}}", begin + 2);
  if (close == text.npos) return no_field("has \"{{\" without \"}}\"");
  const std::string_view name = text.substr(begin + 2, close - begin - 2);
  if (!is_field_name(name)) {
    return no_field(
        "has a field whose name is not 1 to 64 letters, digits, '_', '-' or '.', without blanks");
  }
  return std::optional<FieldPlace>({.begin = begin, .end = close + 2, .name = name});
}

Result<std::vector<TextPiece>> cut_text(std::string_view text) {
  std::vector<TextPiece> pieces;
  const auto add_literal = [&](std::size_t from, std::size_t to) {
    if (from == to) return;
    pieces.push_back({TextPiece::What::Literal, std::string(text.substr(from, to - from))});
  };
  std::size_t at = 0;
  for (;;) {
    auto field = next_field(text, at);
    if (!field) return field.error();
    if (!field->has_value()) break;
    const FieldPlace& place = **field;
    add_literal(at, place.begin);
    pieces.push_back({TextPiece::What::Field, std::string(place.name)});
    at = place.end;
  }
  add_literal(at, text.size());
  return pieces;
}

}  // namespace crossfade
