// One pass: quotes are skipped, digits that begin a token and end it are a number.
#include "protocols/postgres/sql_numbers.h"

#include <array>
#include <cstdint>

namespace crossfade::postgres {
namespace {

enum class Byte : std::uint8_t { Plain, Word, Digit, Quote, Dollar, Unclear };

constexpr std::array<Byte, 256> kinds() {
  std::array<Byte, 256> all{};
  for (int c = 'a'; c <= 'z'; ++c) all[static_cast<std::size_t>(c)] = Byte::Word;
  for (int c = 'A'; c <= 'Z'; ++c) all[static_cast<std::size_t>(c)] = Byte::Word;
  for (std::size_t c = 0x80; c < 0x100; ++c) all[c] = Byte::Word;
  for (int c = '0'; c <= '9'; ++c) all[static_cast<std::size_t>(c)] = Byte::Digit;
  all['_'] = Byte::Word;
  all['\''] = all['"'] = Byte::Quote;
  all['$'] = Byte::Dollar;
  all['\\'] = all['\0'] = Byte::Unclear;
  return all;
}
constexpr std::array<Byte, 256> kKinds = kinds();

Byte kind_at(std::string_view sql, std::size_t at) {
  return at < sql.size() ? kKinds[static_cast<unsigned char>(sql[at])] : Byte::Plain;
}

bool in_word(Byte kind) {
  return kind == Byte::Word || kind == Byte::Digit || kind == Byte::Dollar;
}

std::size_t skip(std::string_view sql, std::size_t at, Byte kind, Byte other) {
  while (kind_at(sql, at) == kind || kind_at(sql, at) == other) ++at;
  return at < sql.size() ? at : sql.size();
}

}  // namespace

bool with_numbers_equal(std::string_view sql, std::string& out) {
  out.assign(1, '\1');
  std::size_t copied = 0;
  for (std::size_t at = 0; at < sql.size();) {
    const Byte kind = kind_at(sql, at);
    std::size_t end = at + 1;
    switch (kind) {
      case Byte::Plain:
        break;
      case Byte::Unclear:
        return false;
      case Byte::Quote:
        end = sql.find(sql[at], at + 1);
        if (end == sql.npos || sql.substr(at, end - at).find('\\') != sql.npos) return false;
        ++end;
        break;
      case Byte::Dollar:  // a parameter; dollar quotes begin otherwise
        end = skip(sql, end, Byte::Digit, Byte::Digit);
        if (end == at + 1 || in_word(kind_at(sql, end))) return false;
        break;
      case Byte::Word:
        while (in_word(kind_at(sql, end)) && end < sql.size()) ++end;
        break;
      case Byte::Digit:
        end = skip(sql, end, Byte::Digit, Byte::Digit);
        if (!in_word(kind_at(sql, end))) {
          out.append(sql, copied, at - copied);
          out += '0';
          copied = end;
          break;
        }
        while (in_word(kind_at(sql, end)) && end < sql.size()) ++end;
        break;
    }
    at = end;
  }
  if (copied == 0) return false;
  out.append(sql, copied);
  return true;
}

}  // namespace crossfade::postgres
