// The word SET, and a name with a dot behind it; or set_config.
#include "protocols/postgres/sql_glance.h"

#include <algorithm>
#include <cctype>

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

// Where the next "set" begins, in any case; npos: nowhere. Of a third byte that is none of these
// letters the two before it need no look.
std::size_t find_set(std::string_view sql, std::size_t at) {
  while (at + 3 <= sql.size()) {
    switch (sql[at + 2] | 0x20) {
      case 't':
        if ((sql[at] | 0x20) == 's' && (sql[at + 1] | 0x20) == 'e') return at;
        at += 3;
        break;
      case 'e':
        at += 1;
        break;
      case 's':
        at += 2;
        break;
      default:
        at += 3;
    }
  }
  return sql.npos;
}

}  // namespace

bool may_set_custom(std::string_view sql) {
  for (std::size_t at = find_set(sql, 0); at != sql.npos; at = find_set(sql, at + 3)) {
    if (at > 0 && is_word(sql[at - 1])) continue;
    const std::string_view here = sql.substr(at);
    if (starts_with_word(here, "set_config")) return true;
    if (starts_with_word(here, "set") && names_custom(here.substr(3))) return true;
  }
  return false;
}

}  // namespace crossfade::postgres
