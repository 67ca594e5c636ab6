// SASLprep with libidn's tables of RFC 3454 and its NFKC. The steps are our own, because libidn's
// profile takes them in another order than PostgreSQL: then the same password gives other keys.
#include "protocols/postgres/password_prep.h"

#include <stringprep.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <optional>
#include <vector>

namespace crossfade::postgres {
namespace {

using Table = const Stringprep_table_element*;
using Characters = std::u32string;

struct Free {
  void operator()(void* memory) const { std::free(memory); }
};
template <class T>
using Malloced = std::unique_ptr<T, Free>;

// RFC 4013, section 2.3, and section 2.5: what Unicode 3.2 does not know.
const std::initializer_list<Table> kProhibited = {
    stringprep_rfc3454_C_1_2, stringprep_rfc3454_C_2_1, stringprep_rfc3454_C_2_2,
    stringprep_rfc3454_C_3,   stringprep_rfc3454_C_4,   stringprep_rfc3454_C_5,
    stringprep_rfc3454_C_6,   stringprep_rfc3454_C_7,   stringprep_rfc3454_C_8,
    stringprep_rfc3454_C_9,   stringprep_rfc3454_A_1};

// Tables end with an element of zeros; an end of 0 means one character.
bool in(Table table, char32_t character) {
  for (; table->start != 0 || table->end != 0; ++table) {
    const std::uint32_t last = table->end != 0 ? table->end : table->start;
    if (character >= table->start && character <= last) return true;
  }
  return false;
}

bool is_prohibited(char32_t character) {
  return std::any_of(kProhibited.begin(), kProhibited.end(),
                     [&](Table table) { return in(table, character); });
}

bool is_right_to_left(char32_t character) { return in(stringprep_rfc3454_D_1, character); }
bool is_left_to_right(char32_t character) { return in(stringprep_rfc3454_D_2, character); }

std::optional<Characters> characters_of(std::string_view utf8) {
  std::size_t size = 0;
  const Malloced<std::uint32_t> all(
      stringprep_utf8_to_ucs4(utf8.data(), static_cast<ssize_t>(utf8.size()), &size));
  if (all == nullptr) return std::nullopt;
  return Characters(all.get(), all.get() + size);
}

Characters mapped(const Characters& characters) {
  Characters result;
  for (const char32_t character : characters) {
    if (in(stringprep_rfc3454_C_1_2, character)) {
      result += U' ';
    } else if (!in(stringprep_rfc3454_B_1, character)) {
      result += character;
    }
  }
  return result;
}

// RFC 3454, section 6: right-to-left text begins and ends as such, and has nothing else in it.
bool directions_agree(const Characters& characters) {
  if (std::none_of(characters.begin(), characters.end(), is_right_to_left)) return true;
  return std::none_of(characters.begin(), characters.end(), is_left_to_right) &&
         is_right_to_left(characters.front()) && is_right_to_left(characters.back());
}

std::optional<std::string> normalized(const Characters& characters) {
  const std::vector<std::uint32_t> plain(characters.begin(), characters.end());
  const Malloced<std::uint32_t> result(
      stringprep_ucs4_nfkc_normalize(plain.data(), static_cast<ssize_t>(plain.size())));
  if (result == nullptr) return std::nullopt;
  std::size_t size = 0;
  const Malloced<char> utf8(stringprep_ucs4_to_utf8(result.get(), -1, nullptr, &size));
  if (utf8 == nullptr) return std::nullopt;
  return std::string(utf8.get(), size);
}

std::optional<std::string> saslprep(std::string_view password) {
  const std::optional<Characters> typed = characters_of(password);
  if (!typed) return std::nullopt;
  const Characters characters = mapped(*typed);
  if (characters.empty()) return std::nullopt;
  if (std::any_of(characters.begin(), characters.end(), is_prohibited)) return std::nullopt;
  if (!directions_agree(characters)) return std::nullopt;
  return normalized(characters);
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

std::string prepared_password(std::string_view password) {
  if (is_ascii(password)) return std::string(password);
  return saslprep(password).value_or(std::string(password));
}

}  // namespace crossfade::postgres
