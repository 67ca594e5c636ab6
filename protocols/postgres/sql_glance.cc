// The word SET, and a name with a dot behind it; or set_config.
#include "protocols/postgres/sql_glance.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstring>

namespace crossfade::postgres {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '$' ||
         (static_cast<unsigned char>(c) & 0x80) != 0;
}

bool starts_with_word(std::string_view text, std::string_view lower) {
  const auto same = [](char c, char l) { return std::tolower(static_cast<unsigned char>(c)) == l; };
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(),
                    [&](char l, char c) { return same(c, l); }) &&
         (text.size() == lower.size() || !is_word(text[lower.size()]));
}

// What is left behind spaces and comments.
std::string_view skip_space(std::string_view text) {
  while (!text.empty()) {
    if (std::isspace(static_cast<unsigned char>(text[0])) != 0) {
      text.remove_prefix(1);
    } else if (text.starts_with("--")) {
      text.remove_prefix(std::min(text.find('\n'), text.size()));
    } else if (text.starts_with("/*")) {
      const std::size_t end = text.find("*/", 2);
      text.remove_prefix(end == text.npos ? text.size() : end + 2);
    } else {
      break;
    }
  }
  return text;
}

// `text` follows the word SET.
bool names_custom(std::string_view text) {
  text = skip_space(text);
  for (const std::string_view scope : {"session", "local"}) {
    if (starts_with_word(text, scope)) text = skip_space(text.substr(scope.size()));
  }
  if (text.starts_with('"')) return true;  // whatever is in the quotes
  while (!text.empty() && is_word(text[0])) text.remove_prefix(1);
  return skip_space(text).starts_with('.');
}

constexpr std::uint64_t kEach = 0x0101'0101'0101'0101;

// Eight bytes, in lower case if they are letters.
std::uint64_t lower_eight(const char* at) {
  std::uint64_t bytes;
  std::memcpy(&bytes, at, sizeof bytes);
  return bytes | (kEach * 0x20);
}

// Whether "set" begins, in any case, at one of the eight places from here: then there is a byte in
// which nothing differs.
//   here   ten bytes
bool begins_set(const char* here) {
  const std::uint64_t differs = (lower_eight(here) ^ (kEach * 's')) |
                                (lower_eight(here + 1) ^ (kEach * 'e')) |
                                (lower_eight(here + 2) ^ (kEach * 't'));
  return ((differs - kEach) & ~differs & (kEach * 0x80)) != 0;
}

// Where the next "set" begins, in any case; npos: nowhere.
std::size_t find_set(std::string_view sql, std::size_t at) {
  constexpr std::size_t kSeen = 10;
  for (; at + kSeen <= sql.size(); at += 8) {
    if (begins_set(sql.data() + at)) break;
  }
  const bool rest_seen = at + kSeen > sql.size() && sql.size() >= kSeen;
  if (rest_seen && !begins_set(sql.data() + sql.size() - kSeen)) return sql.npos;
  for (; at + 3 <= sql.size(); ++at) {
    const auto is = [&](std::size_t place, char lower) {
      return (sql[at + place] | 0x20) == lower;
    };
    if (is(0, 's') && is(1, 'e') && is(2, 't')) return at;
  }
  return sql.npos;
}

// The first argument where that is a string, which may stand in another one ('' is a quote then).
std::string_view first_string(std::string_view arguments) {
  if (arguments.starts_with('E') || arguments.starts_with('e')) arguments.remove_prefix(1);
  const std::size_t begin = arguments.find_first_not_of('\'');
  if (begin == 0 || begin == arguments.npos) return {};
  const std::string_view text = arguments.substr(begin);
  const std::size_t size = std::min(text.find('\''), text.size());
  std::string_view behind = text.substr(size);
  behind.remove_prefix(std::min(behind.find_first_not_of('\''), behind.size()));
  behind = skip_space(behind);
  const bool whole = behind.starts_with(',') || behind.starts_with(')') || behind.starts_with("::");
  return whole ? text.substr(0, size) : std::string_view();
}

// set_config(…, true) ends with its transaction.
bool ends_with_true(std::string_view arguments) {
  std::size_t depth = 1;
  std::size_t quotes = 0;
  for (std::size_t at = 0; at < arguments.size(); ++at) {
    if (arguments[at] == '\'') ++quotes;
    if (quotes % 2 == 1) continue;  // in a string
    if (arguments[at] == '(') ++depth;
    if (arguments[at] != ')' || --depth > 0) continue;
    std::string_view inside = arguments.substr(0, at);
    while (!inside.empty() && !is_word(inside.back())) inside.remove_suffix(1);
    return inside.size() > 4 && !is_word(inside[inside.size() - 5]) &&
           starts_with_word(inside.substr(inside.size() - 4), "true");
  }
  return false;
}

// `text` follows the word SET: the name there, without quotes.
std::string named(std::string_view text) {
  std::string name;
  while (!text.empty() && (is_word(text[0]) || text[0] == '.' || text[0] == '"')) {
    if (text[0] != '"') name += text[0];
    text = text[0] == '.' ? skip_space(text.substr(1)) : text.substr(1);
    if (!text.empty() && skip_space(text).starts_with('.')) text = skip_space(text);
  }
  return name;
}

void add_name(CodeSettings& found, std::string_view name) {
  if (name.find('.') != name.npos) found.names.emplace_back(name);
}

void note_call(CodeSettings& found, std::string_view behind) {
  const std::string_view rest = skip_space(behind);
  if (!rest.starts_with('(')) return;
  const std::string_view arguments = skip_space(rest.substr(1));
  const std::string_view name = first_string(arguments);
  add_name(found, name);
  if (name.empty() && !ends_with_true(arguments)) found.told = CodeSettings::Told::NotAll;
}

// 'SET ' || name, format('SET %I …')
void note_set(CodeSettings& found, std::string_view text, bool begins_string) {
  text = skip_space(text);
  if (starts_with_word(text, "session")) text = skip_space(text.substr(7));
  const bool local = starts_with_word(text, "local");
  if (local) text = skip_space(text.substr(5));
  add_name(found, named(text));
  const bool computed = text.starts_with('%') || text.starts_with('\'');
  if (begins_string && computed && !local) found.told = CodeSettings::Told::NotAll;
}

}  // namespace

CodeSettings settings_in(std::string_view code) {
  CodeSettings found;
  for (std::size_t at = find_set(code, 0); at != code.npos; at = find_set(code, at + 3)) {
    const std::string_view here = code.substr(at);
    std::string_view before = code.substr(0, at);
    if (starts_with_word(here, "setting") && before.size() >= 8 &&
        starts_with_word(before.substr(before.size() - 8), "current_")) {
      const std::string_view rest = skip_space(here.substr(7));
      if (rest.starts_with('(')) add_name(found, first_string(skip_space(rest.substr(1))));
    }
    if (!before.empty() && is_word(before.back())) continue;
    while (!before.empty() && before.back() == ' ') before.remove_suffix(1);
    if (starts_with_word(here, "setseed")) found.told = CodeSettings::Told::NotAll;
    if (starts_with_word(here, "set_config")) note_call(found, here.substr(10));
    if (starts_with_word(here, "set")) note_set(found, here.substr(3), before.ends_with('\''));
  }
  return found;
}

bool may_define(std::string_view sql) {
  for (std::size_t at = 0; at < sql.size(); ++at) {
    if (at > 0 && is_word(sql[at - 1])) continue;
    const std::string_view rest = sql.substr(at);
    if (starts_with_word(rest, "create") || starts_with_word(rest, "alter")) return true;
  }
  return false;
}

bool may_set_custom(std::string_view sql) {
  for (std::size_t at = find_set(sql, 0); at != sql.npos; at = find_set(sql, at + 3)) {
    if (at > 0 && is_word(sql[at - 1])) continue;
    const std::string_view here = sql.substr(at);
    if (starts_with_word(here, "set_config") || starts_with_word(here, "setseed")) return true;
    if (starts_with_word(here, "set") && names_custom(here.substr(3))) return true;
  }
  return false;
}

}  // namespace crossfade::postgres
