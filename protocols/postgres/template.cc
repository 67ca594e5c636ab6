// Fields become parameters, for the grammar and for the normal form.
#include "protocols/postgres/template.h"

#include <algorithm>

#include "protocols/postgres/sql_catalog.h"
#include "protocols/postgres/sql_classify.h"
#include "protocols/postgres/sql_comments.h"

namespace crossfade::postgres {

namespace {

Error wrong(std::string why) { return Error{Errc::BadInput, "", std::move(why)}; }

struct WithParameters {
  std::string sql;
  std::vector<std::string> fields;  // the first is $1
  std::size_t places = 0;
};

constexpr const char* kPart =
    "has a field that is part of a value or a name, or a parameter such as $1: a field stands for "
    "a "
    "whole value, and a parameter is written as a field";

// Whether something stands beside a field that a parameter in its place would be read together
// with.
bool touches(std::string_view text, std::size_t begin, std::size_t end) {
  const auto joins = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
           c == '_' || c == '$' || c == '\'' || c == '"';
  };
  return (begin > 0 && joins(text[begin - 1])) || (end < text.size() && joins(text[end]));
}

Result<WithParameters> with_parameters(std::string_view text) {
  WithParameters read;
  std::size_t at = 0;
  for (;;) {
    auto field = next_field(text, at);
    if (!field) return field.error();
    if (!field->has_value()) break;
    auto [begin, end, name] = **field;
    if (++read.places > kFieldsMax) return wrong("has more than 256 fields");
    const bool quoted =
        begin > at && text[begin - 1] == '\'' && end < text.size() && text[end] == '\'';
    if (quoted) {
      --begin;
      ++end;
    }
    if (touches(text, begin, end)) return wrong(kPart);
    auto known = std::ranges::find(read.fields, name);
    if (known == read.fields.end()) known = read.fields.insert(known, std::string(name));
    read.sql.append(text.substr(at, begin - at));
    read.sql += '$' + std::to_string(known - read.fields.begin() + 1);
    at = end;
  }
  read.sql.append(text.substr(at));
  return read;
}

std::size_t number_of(std::string_view digits) {
  std::size_t number = 0;
  for (const char c : digits) number = number * 10 + static_cast<std::size_t>(c - '0');
  return number;
}

bool same_constant(std::string_view one, std::string_view other) {
  if (one == other) return true;
  // Of literals that begin with a letter and have no quotes there are NULL, TRUE and FALSE.
  const auto is_letter = [](char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; };
  return one.size() == other.size() && std::ranges::all_of(one, is_letter) &&
         std::equal(one.begin(), one.end(), other.begin(),
                    [](char a, char b) { return (a | 0x20) == (b | 0x20); });
}

bool same_value(const SqlValue& one, const SqlValue& other) {
  return one.what == other.what && one.text == other.text;
}

SqlFacts facts_by(const std::string& sql, const SqlCatalog& catalog) {
  std::string scratch;
  // Parameters may be longer than their fields.
  return classify(sql, catalog, SqlReading::Standard, SIZE_MAX, scratch);
}

}  // namespace

Result<Template> read_template(std::string_view query) {
  if (query.size() > kTemplateMax) return wrong("is longer than 16384 bytes");
  if (query.find('\0') != query.npos) return wrong("has a zero byte");
  std::string text;
  if (without_comments(query, text) != SqlLexis::Plain) {
    return wrong("has a literal or a comment that does not clearly end");
  }
  auto read = with_parameters(text);
  if (!read) return read.error();
  NormalSql normal;
  if (!normalise(read->sql, normal)) return wrong("is not SQL");
  const auto is_parameter = [](const SqlValue& value) {
    return value.what == SqlValue::What::Parameter;
  };
  const auto parameters = std::ranges::count_if(normal.values, is_parameter);
  if (static_cast<std::size_t>(parameters) != read->places) {
    return wrong(kPart);
  }
  const SqlFacts facts = facts_by(read->sql, *SqlCatalog::built_in());
  if (facts.pins.has(Pin::Unread) || facts.statements != 1) {
    return wrong("is not one statement that PostgreSQL's grammar (of version 15) can read");
  }
  Template form;
  for (const SqlValue& value : normal.values) {
    if (is_parameter(value)) {
      form.values.push_back({.field = number_of(value.text) - 1, .constant = {}});
    } else {
      form.values.push_back({.field = std::nullopt, .constant = std::string(value.text)});
    }
  }
  form.sql = std::move(read->sql);
  form.form = std::move(normal.form);
  form.fields = std::move(read->fields);
  return form;
}

Kind kind_of(const Template& form) {
  const SqlFacts named = facts_by(form.sql, *SqlCatalog::built_in());
  SqlCatalog plain = *SqlCatalog::built_in();
  for (const TableName& table : named.read) {
    if (plain.relation(table.schema, table.name) != nullptr) continue;
    plain.add_relation(table.schema, table.name, {});
  }
  return facts_by(form.sql, plain).only_reads() ? Kind::Read : Kind::Write;
}

bool values_match(const Template& form, const std::vector<SqlValue>& values) {
  if (values.size() != form.values.size()) return false;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Template::Value& wanted = form.values[i];
    if (!wanted.field) {
      const bool literal = values[i].what == SqlValue::What::Literal;
      if (!literal || !same_constant(values[i].text, wanted.constant)) return false;
      continue;
    }
    // The same field at an earlier place has the same value.
    for (std::size_t k = 0; k < i; ++k) {
      if (form.values[k].field != wanted.field) continue;
      if (!same_value(values[k], values[i])) return false;
      break;
    }
  }
  return true;
}

}  // namespace crossfade::postgres
