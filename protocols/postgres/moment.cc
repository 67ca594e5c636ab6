// The words, one after the other.
#include "protocols/postgres/moment.h"

#include <algorithm>
#include <cstddef>

#include "protocols/base/ascii.h"

namespace crossfade::postgres {
namespace {

// Besides the moment: 'today at 10:00 UTC'. What has more is no date.
constexpr std::size_t kOtherWordsMax = 2;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Of what stands in words of other scripts nothing is said.
bool is_of_word(char c) { return is_letter(c) || static_cast<unsigned char>(c) >= 0x80; }

bool names_moment(std::string_view word) {
  return same_letters(word, "now") || same_letters(word, "today") ||
         same_letters(word, "tomorrow") || same_letters(word, "yesterday");
}

// Of one element, between quotes or not.
bool is_few_words_with_moment(std::string_view text) {
  std::size_t others = 0;
  bool found = false;
  for (std::size_t at = 0; at < text.size() && others <= kOtherWordsMax;) {
    std::size_t end = at;
    while (end < text.size() && is_of_word(text[end])) ++end;
    if (end == at) {
      ++at;
      continue;
    }
    const bool moment = names_moment(text.substr(at, end - at));
    found |= moment;
    others += moment ? 0 : 1;
    at = end;
  }
  return found && others <= kOtherWordsMax;
}
}  // namespace

bool is_moment(std::string_view text) {
  const std::size_t blanks = text.find_first_not_of(" \t\r\n\f\v");
  if (blanks == std::string_view::npos) return false;
  text.remove_prefix(blanks);
  std::size_t size = 0;
  while (size < text.size() && is_letter(text[size])) ++size;
  return names_moment(text.substr(0, size));
}

bool passes_moment(std::string_view value) {
  const std::size_t begin = value.find_first_not_of(" \t\r\n\f\v");
  if (begin == std::string_view::npos) return false;
  const bool many = value[begin] == '{' || value[begin] == '[' || value[begin] == '(';
  if (!many) return is_few_words_with_moment(value);
  for (std::size_t at = begin; at < value.size();) {
    const std::size_t end = std::min(value.find(',', at), value.size());
    if (is_few_words_with_moment(value.substr(at, end - at))) return true;
    at = end + 1;
  }
  return false;
}

}  // namespace crossfade::postgres
