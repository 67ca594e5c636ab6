// Comments of sqlcommenter's form, read pair by pair.
#include "protocols/postgres/commented.h"

namespace crossfade::postgres {

namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";
constexpr std::string_view kBegin = "/*";
constexpr std::string_view kEnd = "*/";
constexpr std::size_t kNone = std::string_view::npos;

std::string_view trimmed(std::string_view text, std::string_view what) {
  const std::size_t begin = text.find_first_not_of(what);
  if (begin == kNone) return {};
  return text.substr(begin, text.find_last_not_of(what) + 1 - begin);
}

// What stands in the comment that the text begins with; empty: it begins with none.
std::string_view first_comment(std::string_view sql) {
  const std::size_t begin = sql.find_first_not_of(kBlanks);
  if (begin == kNone || !sql.substr(begin).starts_with(kBegin)) return {};
  const std::string_view rest = sql.substr(begin + kBegin.size());
  const std::size_t end = rest.find(kEnd);
  return end == kNone ? std::string_view() : rest.substr(0, end);
}

// Likewise that it ends with.
std::string_view last_comment(std::string_view sql) {
  const std::size_t last = sql.find_last_not_of(" \t\n\v\f\r;");
  if (last == kNone) return {};
  std::string_view text = sql.substr(0, last + 1);
  if (!text.ends_with(kEnd)) return {};
  text.remove_suffix(kEnd.size());
  const std::size_t begin = text.rfind(kBegin);
  return begin == kNone ? std::string_view() : text.substr(begin + kBegin.size());
}

int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Where the quoted value ends that `text` begins with, its quote not included; kNone: nowhere.
std::size_t end_of_value(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\'') return at;
    if (text[at] == '\\') ++at;
  }
  return kNone;
}

std::optional<std::string_view> decoded(std::string_view value, std::span<char> room) {
  std::size_t size = 0;
  for (std::size_t at = 0; at < value.size(); ++at) {
    if (size == room.size()) return std::nullopt;
    char c = value[at];
    if (c == '\\' && at + 1 < value.size()) {
      c = value[++at];
    } else if (c == '%' && at + 2 < value.size()) {
      const int high = digit_of(value[at + 1]);
      const int low = digit_of(value[at + 2]);
      if (high >= 0 && low >= 0) {
        c = static_cast<char>(high * 16 + low);
        at += 2;
      }
    }
    room[size++] = c;
  }
  if (size == 0) return std::nullopt;
  return std::string_view(room.data(), size);
}

// The value of that name among a comment's pairs, as it stands there.
std::optional<std::string_view> value_in(std::string_view comment, std::string_view name) {
  std::string_view rest = comment;
  for (;;) {
    const std::size_t equals = rest.find('=');
    if (equals == kNone) return std::nullopt;
    const std::string_view key = trimmed(rest.substr(0, equals), kBlanks);
    rest = rest.substr(equals + 1);
    const std::size_t quote = rest.find_first_not_of(kBlanks);
    if (quote == kNone || rest[quote] != '\'') return std::nullopt;  // another form
    rest = rest.substr(quote + 1);
    const std::size_t end = end_of_value(rest);
    if (end == kNone) return std::nullopt;
    if (key == name) return rest.substr(0, end);
    rest = rest.substr(end + 1);
    const std::size_t comma = rest.find_first_not_of(kBlanks);
    if (comma == kNone || rest[comma] != ',') return std::nullopt;
    rest = rest.substr(comma + 1);
  }
}

}  // namespace

std::optional<std::string_view> commented(std::string_view sql, std::string_view name,
                                          std::span<char> room) {
  for (const std::string_view comment : {first_comment(sql), last_comment(sql)}) {
    if (const auto value = value_in(comment, name)) return decoded(*value, room);
  }
  return std::nullopt;
}

}  // namespace crossfade::postgres
