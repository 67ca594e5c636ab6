// Lists of words that are one text.
#pragma once

#include <algorithm>
#include <string_view>

namespace crossfade::postgres {

// Calls visit(word) for each of them; they stand apart by spaces.
template <class Visit>
void each_word(std::string_view words, Visit&& visit) {
  while (!words.empty()) {
    const std::size_t size = std::min(words.find(' '), words.size());
    if (size > 0) visit(words.substr(0, size));
    words.remove_prefix(std::min(size + 1, words.size()));
  }
}

}  // namespace crossfade::postgres
