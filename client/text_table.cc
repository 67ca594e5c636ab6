// Widths, and how a value becomes a word.
#include "client/text_table.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "control/json/write.h"

namespace crossfade {

namespace {

using Row = std::vector<std::string>;

constexpr std::string_view kGap = "  ";

bool is_plain(const Json& value) {
  return value.members() == nullptr && value.elements() == nullptr;
}

std::string without_controls(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

std::string listed(const Json::Array& elements) {
  std::string text;
  for (const Json& element : elements) {
    if (!text.empty()) text += ", ";
    text += plain(&element);
  }
  return text.empty() ? "-" : text;
}

// Characters, not bytes: continuation bytes of UTF-8 take no place.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string aligned(const std::vector<Row>& rows) {
  std::vector<std::size_t> widths;
  for (const Row& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t at = 0; at < row.size(); ++at) {
      widths[at] = std::max(widths[at], width_of(row[at]));
    }
  }
  std::string text;
  for (const Row& row : rows) {
    for (std::size_t at = 0; at < row.size(); ++at) {
      text += row[at];
      if (at + 1 == row.size()) break;  // no blanks at an end of a line
      text.append(widths[at] - width_of(row[at]), ' ');
      text += kGap;
    }
    text += '\n';
  }
  return text;
}

std::string cell(const Json& element, std::string_view paths) {
  std::string text;
  while (true) {
    const std::size_t comma = paths.find(',');
    text += plain(at_path(element, paths.substr(0, comma)));
    if (comma == paths.npos) return text;
    text += ':';
    paths.remove_prefix(comma + 1);
  }
}

void add_details(const Json& value, const std::string& path, std::vector<Row>& rows) {
  if (const Json::Object* members = value.members(); members != nullptr && !members->empty()) {
    for (const auto& [name, member] : *members) {
      std::string longer = path;
      if (!path.empty()) longer += '.';
      add_details(member, longer += name, rows);
    }
    return;
  }
  const Json::Array* elements = value.elements();
  if (elements == nullptr || std::all_of(elements->begin(), elements->end(), is_plain)) {
    rows.push_back({path, plain(&value)});
    return;
  }
  for (std::size_t at = 0; at < elements->size(); ++at) {
    std::string longer = path;
    longer += '[';
    longer += std::to_string(at);
    add_details((*elements)[at], longer += ']', rows);
  }
}

}  // namespace

std::string plain(const Json* value) {
  if (value == nullptr || value->is_null()) return "-";
  if (const std::string* text = value->string()) {
    return text->empty() ? "-" : without_controls(*text);
  }
  if (const bool* truth = value->boolean()) return *truth ? "yes" : "no";
  if (const Json::Array* elements = value->elements()) return listed(*elements);
  return to_text(*value);
}

const Json* at_path(const Json& value, std::string_view path) {
  const Json* at = &value;
  while (at != nullptr) {
    const std::size_t dot = path.find('.');
    at = at->find(path.substr(0, dot));
    if (dot == path.npos) return at;
    path.remove_prefix(dot + 1);
  }
  return nullptr;
}

std::string table_of(std::span<const Column> columns, const Json& elements) {
  std::vector<Row> rows(1);
  for (const Column& column : columns) rows[0].emplace_back(column.title);
  if (elements.elements() != nullptr) {
    for (const Json& element : *elements.elements()) {
      Row row;
      for (const Column& column : columns) row.push_back(cell(element, column.path));
      rows.push_back(std::move(row));
    }
  }
  return aligned(rows);
}

std::string details_of(const Json& object) {
  std::vector<Row> rows;
  add_details(object, "", rows);
  return aligned(rows);
}

}  // namespace crossfade
