// Names of rows: what is written how.
#include "protocols/postgres/row_names.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "protocols/postgres/fields.h"
#include "protocols/postgres/sql_comments.h"
#include "protocols/postgres/sql_tree.h"

namespace crossfade::postgres {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string_view without_digits(std::string_view text) {
  while (!text.empty() && is_digit(text[0])) text.remove_prefix(1);
  return text;
}

// What is left behind a sign and digits; the text itself where there are none.
std::string_view behind_integer(std::string_view text) {
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  const std::string_view rest = without_digits(digits);
  return rest.size() == digits.size() ? text : rest;
}

void append_quoted(std::string& to, std::string_view text, char quote) {
  to += quote;
  for (const char c : text) {
    to += c;
    if (c == quote) to += c;
  }
  to += quote;
}

void append_name(std::string& to, std::string_view name) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || c == '_' || is_digit(c); };
  const bool is_plain = !name.empty() && !is_digit(name[0]) && std::ranges::all_of(name, plain);
  if (is_plain) {
    to += name;
  } else {
    append_quoted(to, name, '"');
  }
}

void append_value(std::string& to, const std::optional<std::string>& value) {
  if (!value) {
    to += "null";
  } else if (is_number(*value)) {
    to += *value;
  } else {
    append_quoted(to, *value, '\'');
  }
}

template <class Integer>
bool append_integer(std::string& to, std::string_view bytes) {
  if (bytes.size() != sizeof(Integer)) return false;
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  std::array<char, std::numeric_limits<Integer>::digits10 + 2> digits;
  const auto end =
      std::to_chars(digits.data(), digits.data() + digits.size(), static_cast<Integer>(value)).ptr;
  to.append(digits.data(), end);
  return true;
}

bool append_uuid(std::string& to, std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  if (bytes.size() != 16) return false;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) to += '-';
    const auto byte = static_cast<unsigned char>(bytes[i]);
    to += kHex[byte >> 4];
    to += kHex[byte & 0xf];
  }
  return true;
}

}  // namespace

bool is_integer_type(std::uint32_t type) {
  return type == type_oid::kInt2 || type == type_oid::kInt4 || type == type_oid::kInt8;
}

bool is_integer(std::string_view text) { return !text.empty() && behind_integer(text).empty(); }

bool is_number(std::string_view text) {
  const std::string_view rest = behind_integer(text);
  if (rest.empty()) return !text.empty();
  if (rest.size() == text.size() || !rest.starts_with('.')) return false;
  return rest.size() > 1 && without_digits(rest.substr(1)).empty();
}

bool append_binary(std::string& to, std::uint32_t type, std::string_view bytes) {
  switch (type) {
    case type_oid::kInt2:
      return append_integer<std::int16_t>(to, bytes);
    case type_oid::kInt4:
      return append_integer<std::int32_t>(to, bytes);
    case type_oid::kInt8:
      return append_integer<std::int64_t>(to, bytes);
    case type_oid::kUuid:
      return append_uuid(to, bytes);
    case type_oid::kText:
    case type_oid::kVarchar:
      to += bytes;
      return true;
    default:
      return false;
  }
}

std::optional<std::string> text_of_binary(std::uint32_t type, std::string_view bytes) {
  std::string text;
  if (!append_binary(text, type, bytes)) return std::nullopt;
  return text;
}

std::optional<std::string> row_name(const TableName& table, RowValues columns) {
  if (columns.empty()) return std::nullopt;
  std::ranges::sort(columns, {}, [](const auto& column) { return column.first; });
  std::string name;
  if (!table.schema.empty()) {
    append_name(name, table.schema);
    name += '.';
  }
  append_name(name, table.name);
  const char* before = " (";
  for (const auto& [column, value] : columns) {
    if (value && value->size() > kRowNameMax) return std::nullopt;
    name += std::exchange(before, ", ");
    append_name(name, column);
    name += '=';
    append_value(name, value);
  }
  name += ')';
  if (name.size() > kRowNameMax) return std::nullopt;
  return name;
}

std::vector<ToldRows> rows_told_by(std::string_view sql, const SqlCatalog& catalog) {
  std::vector<ToldRows> found;
  if (sql.size() > kRowsTextMax || sql.find('\0') != std::string_view::npos) return found;
  std::string text;
  if (without_comments(sql, text) != SqlLexis::Plain) return found;
  if (read_rows(text.c_str(), catalog, found) == SqlRead::Broken) found.clear();
  return found;
}

}  // namespace crossfade::postgres
