// What a template's argument begins and ends with.
#include "protocols/redis/argument.h"

#include <cstring>

namespace crossfade::redis {

bool is_field(const TextPiece& piece) { return piece.what == TextPiece::What::Field; }

bool is_exact(const Template::Argument& argument) {
  return argument.size() == 1 && !is_field(argument[0]);
}

std::string_view prefix_of(const Template::Argument& argument) {
  return is_field(argument.front()) ? std::string_view() : argument.front().text;
}

std::string_view suffix_of(const Template::Argument& argument) {
  const bool none = is_exact(argument) || is_field(argument.back());
  return none ? std::string_view() : argument.back().text;
}

std::vector<std::string> shape_of(const Template::Argument& argument) {
  std::vector<std::string> shape;
  for (const TextPiece& piece : argument) shape.push_back(is_field(piece) ? "" : piece.text);
  if (is_exact(argument)) shape.push_back("exact");  // no field is followed by nothing
  return shape;
}

std::size_t find_text(std::string_view text, std::size_t from, std::string_view wanted) {
  if (from >= text.size()) return std::string_view::npos;
  const void* found = memmem(text.data() + from, text.size() - from, wanted.data(), wanted.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace crossfade::redis
