// Pieces of the new template, and which value of the former one stands in each.
#include "protocols/redis/rendering.h"

#include <algorithm>
#include <charconv>

#include "protocols/redis/argument.h"
#include "protocols/redis/template_set.h"

namespace crossfade::redis {

namespace {

void append_head(std::string& out, char sort, std::size_t count) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, count).ptr;
  out.push_back(sort);
  out.append(digits, static_cast<std::size_t>(end - digits)).append("\r\n");
}

}  // namespace

Rendering::Rendering(Template from, const Template& to, const Fields& fields)
    : from_(std::move(from)) {
  for (const Template::Argument& argument : to.arguments) {
    std::vector<Piece>& pieces = arguments_.emplace_back();
    for (const TextPiece& piece : argument) {
      if (!is_field(piece)) {
        pieces.push_back({.text = piece.text, .field = std::nullopt});
        continue;
      }
      const auto mapped = std::ranges::find(fields, piece.text, &Fields::value_type::first);
      if (mapped == fields.end()) continue;
      const auto place = std::ranges::find(from_.fields, mapped->second);
      if (place == from_.fields.end()) continue;
      pieces.push_back(
          {.text = {}, .field = static_cast<std::size_t>(place - from_.fields.begin())});
    }
  }
}

void Rendering::render(const RequestCutter& cutter, std::string_view bytes,
                       std::vector<std::string_view>& values, std::string& out) const {
  field_values(from_, cutter, bytes, values);
  const auto text_of = [&](const Piece& piece) {
    return piece.field ? values[*piece.field] : std::string_view(piece.text);
  };
  out.clear();
  append_head(out, '*', arguments_.size());
  for (const std::vector<Piece>& pieces : arguments_) {
    std::size_t size = 0;
    for (const Piece& piece : pieces) size += text_of(piece).size();
    append_head(out, '$', size);
    for (const Piece& piece : pieces) out.append(text_of(piece));
    out.append("\r\n");
  }
}

}  // namespace crossfade::redis
