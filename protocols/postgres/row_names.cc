// Names of rows: what is written how.
#include "protocols/postgres/row_names.h"

#include <algorithm>
#include <array>

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
std::optional<std::string> integer_of(std::string_view bytes) {
  if (bytes.size() != sizeof(Integer)) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return std::to_string(static_cast<Integer>(value));
}

std::optional<std::string> uuid_of(std::string_view bytes) {
  constexpr std::string_view kHex = "0123456789abcdef";
  if (bytes.size() != 16) return std::nullopt;
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    const auto byte = static_cast<unsigned char>(bytes[i]);
    text += kHex[byte >> 4];
    text += kHex[byte & 0xf];
  }
  return text;
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

std::optional<std::string> text_of_binary(std::uint32_t type, std::string_view bytes) {
  switch (type) {
    case type_oid::kInt2:
      return integer_of<std::int16_t>(bytes);
    case type_oid::kInt4:
      return integer_of<std::int32_t>(bytes);
    case type_oid::kInt8:
      return integer_of<std::int64_t>(bytes);
    case type_oid::kUuid:
      return uuid_of(bytes);
    case type_oid::kText:
    case type_oid::kVarchar:
      return std::string(bytes);
    default:
      return std::nullopt;
  }
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
