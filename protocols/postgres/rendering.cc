// Pieces of the new template, and which value of the former one stands between them.
#include "protocols/postgres/rendering.h"

#include <algorithm>
#include <string_view>

namespace crossfade::postgres {

namespace {

constexpr std::string_view kBlanks = " \t\n\v\f\r";

bool is_blank(char c) { return kBlanks.find(c) != kBlanks.npos; }

// The first value of a statement that stands for that field.
std::optional<std::size_t> value_of(const Template& form, const std::string& name) {
  const auto field = std::ranges::find(form.fields, name);
  if (field == form.fields.end()) return std::nullopt;
  const auto number = static_cast<std::size_t>(field - form.fields.begin());
  const auto value = std::ranges::find(form.values, number, &Template::Value::field);
  return static_cast<std::size_t>(value - form.values.begin());
}

// (-5)::int is not -5::int, which is -(5::int).
bool binds_tighter(std::string_view behind) {
  const std::size_t next = behind.find_first_not_of(kBlanks);
  return next != behind.npos && (behind.substr(next).starts_with("::") || behind[next] == '[');
}

std::string_view without_end(std::string_view sql) {
  const std::size_t last = sql.find_last_not_of(" \t\n\v\f\r;");
  return sql.substr(0, last == sql.npos ? 0 : last + 1);
}

}  // namespace

std::optional<Rendering> Rendering::between(const Template& from, const Template& to,
                                            const Fields& fields) {
  const auto is_used = [&](const std::string& name) {
    return std::ranges::any_of(fields, [&](const auto& mapped) {
      return mapped.second == name && std::ranges::find(to.fields, mapped.first) != to.fields.end();
    });
  };
  if (!std::ranges::all_of(from.fields, is_used)) return std::nullopt;
  NormalSql normal;
  const std::string_view sql = without_end(to.sql);
  if (!normalise(sql, normal) || normal.values.size() != to.values.size()) return std::nullopt;
  Rendering rendering;
  std::size_t at = 0;
  for (std::size_t i = 0; i < to.values.size(); ++i) {
    if (!to.values[i].field) continue;
    const auto mapped =
        std::ranges::find(fields, to.fields[*to.values[i].field], &Fields::value_type::first);
    const auto value =
        mapped == fields.end() ? std::nullopt : value_of(from, std::string(mapped->second));
    if (!value) return std::nullopt;
    // A value is told from what stands beside it, whichever it is: "a--5" ends in a comment.
    const auto digits = static_cast<std::size_t>(normal.values[i].text.data() - sql.data());
    std::string before(sql.substr(at, digits - 1 - at));
    if (at > 0 && (before.empty() || !is_blank(before.front()))) before.insert(0, 1, ' ');
    if (!before.empty() && !is_blank(before.back())) before += ' ';
    at = digits + normal.values[i].text.size();
    rendering.pieces_.push_back(
        {std::move(before), value, postgres::binds_tighter(sql.substr(at))});
  }
  std::string rest(sql.substr(at));
  if (at > 0 && !rest.empty() && !is_blank(rest.front())) rest.insert(0, 1, ' ');
  rendering.pieces_.push_back({std::move(rest), std::nullopt});
  return rendering;
}

void Rendering::append(const std::vector<SqlValue>& values, std::string& out) const {
  for (const Piece& piece : pieces_) {
    out += piece.text;
    if (!piece.value) continue;
    const SqlValue& value = values[*piece.value];
    const bool is_signed = value.text.starts_with('-') || value.text.starts_with('+');
    const bool enclosed = piece.binds_tighter && is_signed;
    if (value.what == SqlValue::What::Parameter) out += '$';
    if (enclosed) out += '(';
    out += value.text;
    if (enclosed) out += ')';
  }
}

const char* what_hangs_on_clients(const Template& form) {
  const auto beyond_ascii = [](char c) { return static_cast<unsigned char>(c) >= 0x80; };
  if (std::ranges::any_of(form.sql, beyond_ascii)) {
    return "it has characters beyond ASCII, which are others in another client_encoding";
  }
  if (form.sql.find('\\') != form.sql.npos) {
    return "it has a backslash, which hangs on standard_conforming_strings";
  }
  return nullptr;
}

}  // namespace crossfade::postgres
