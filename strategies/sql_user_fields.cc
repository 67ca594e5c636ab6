// A template set that is asked for one field, of texts and of what Binds pass.
#include "strategies/sql_user_fields.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "protocols/postgres/each_statement.h"
#include "protocols/postgres/fields.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/row_names.h"
#include "strategies/known_template.h"

namespace crossfade {

namespace {

using postgres::ParameterAt;
using postgres::SaidText;
using postgres::SqlForm;
using postgres::SqlValue;
using postgres::TemplateSet;

TemplateSet read_all(const std::vector<std::string>& queries) {
  std::vector<postgres::Template> templates;
  templates.reserve(queries.size());
  for (const std::string& query : queries) templates.push_back(known_sql_template(query));
  return TemplateSet(std::move(templates));
}

// Where it first stands: elsewhere it has the same value.
std::optional<std::size_t> place_of(const std::string& name, const postgres::Template& form) {
  const auto field = std::ranges::find(form.fields, name);
  if (field == form.fields.end()) return std::nullopt;
  const auto index = static_cast<std::size_t>(field - form.fields.begin());
  const auto value = std::ranges::find(form.values, index, &postgres::Template::Value::field);
  return static_cast<std::size_t>(value - form.values.begin());
}

// What is the same for all statements of that form there.
std::uint64_t hash_of(postgres::FormMark mark, std::size_t place, std::uint64_t database) {
  return mark.low ^ database * 0x9e3779b97f4a7c15 ^ place * 0xc2b2ae3d27d4eb4f;
}

// What a quoted literal has between its quotes.
void append_unquoted(std::string& to, std::string_view inner) {
  for (std::size_t at = 0; at < inner.size(); ++at) {
    to += inner[at];
    if (inner[at] == '\'') ++at;  // doubled
  }
}

// Adds the value of a literal, in the words that a parameter would have; NULL has none. False: it
// is written in a way that is not read.
bool append_literal(std::string& to, std::string_view literal) {
  const bool quoted = literal.size() >= 2 && literal.back() == '\'';
  if (quoted && literal.front() == '\'') {
    append_unquoted(to, literal.substr(1, literal.size() - 2));
    return true;
  }
  if (quoted) {  // E'…' and others
    const bool escapes = literal.front() == 'E' || literal.front() == 'e';
    if (!escapes || literal.find('\\') != literal.npos) return false;
    append_unquoted(to, literal.substr(2, literal.size() - 3));
    return true;
  }
  if (literal.starts_with('$')) {
    const std::size_t mark = literal.find('$', 1) + 1;
    to += literal.substr(mark, literal.size() - 2 * mark);
    return true;
  }
  if (literal.size() == 4 && (literal[0] == 'n' || literal[0] == 'N')) return true;  // NULL
  if (literal.starts_with('-')) to += '-';
  const std::size_t digits = literal.find_first_not_of("+- \t\n\v\f\r");
  if (digits != literal.npos) to += literal.substr(digits);
  return true;
}

std::uint32_t declared(std::string_view types, std::uint16_t number) {
  const std::size_t at = 4 * (std::size_t{number} - 1);
  return at + 4 <= types.size() ? postgres::read_u32(types.data() + at) : 0;
}

// An integer is what its size says: another server, or another table of that name, may have told
// another one.
std::uint32_t type_by_size(std::uint32_t type, std::size_t size) {
  if (!postgres::is_integer_type(type)) return type;
  switch (size) {
    case sizeof(std::int16_t):
      return postgres::type_oid::kInt2;
    case sizeof(std::int32_t):
      return postgres::type_oid::kInt4;
    default:
      return postgres::type_oid::kInt8;
  }
}

// Takes what was said last. False: somebody else was said before.
bool agrees(SqlUserFields::Scratch& scratch) {
  if (scratch.other.empty()) return true;
  if (scratch.user.empty()) scratch.user.swap(scratch.other);
  return scratch.other.empty() || scratch.user == scratch.other;
}

}  // namespace

SqlUserFields::SqlUserFields(std::string name, std::vector<std::string> queries)
    : name_(std::move(name)), queries_(std::move(queries)), templates_(read_all(queries_)) {
  for (std::uint32_t i = 0; i < templates_.size(); ++i) {
    places_.push_back(place_of(name_, templates_.at(i)));
  }
}

bool SqlUserFields::may_say(postgres::FormMark mark) const {
  const TemplateSet::Alike* const alike = templates_.find(mark);
  return alike != nullptr && (!alike->whatever || places_[*alike->whatever]);
}

// Calls look(value, parameter) for each value of the text that is the field's. False: some may be,
// and are not known.
template <class Look>
bool SqlUserFields::each_value(const SaidText& text, std::uint64_t database, Scratch& scratch,
                               Look look) const {
  const std::vector<SqlForm>& forms = text.facts->forms;
  if (std::ranges::none_of(forms, [&](const SqlForm& form) { return may_say(form.mark); })) {
    return true;
  }
  const auto look_at = [&](const SqlForm& form, std::string_view) {
    const TemplateSet::Alike* const alike = templates_.find(form.mark);
    if (alike == nullptr) return true;
    const auto first = templates_.match(*alike, scratch.normal.values);
    if (!first || !places_[*first]) return true;
    const std::size_t place = *places_[*first];
    const SqlValue& value = scratch.normal.values[place];
    std::uint16_t number = 0;
    if (value.what == SqlValue::What::Parameter) {
      const char* const end = value.text.data() + value.text.size();
      if (std::from_chars(value.text.data(), end, number).ec != std::errc()) return true;
    }
    look(value, ParameterAt(hash_of(form.mark, place, database), number));
    return true;
  };
  return postgres::each_statement(text, scratch.bare, scratch.normal, look_at);
}

std::optional<std::string_view> SqlUserFields::user_of(const postgres::Said& said,
                                                       const postgres::ToldTypes& told,
                                                       std::uint64_t database,
                                                       Scratch& scratch) const {
  scratch.user.clear();
  scratch.parameters.assign(said.texts.size(), ParameterAt());
  bool one = true;
  for (std::size_t i = 0; i < said.texts.size(); ++i) {
    const auto look = [&](const SqlValue& value, ParameterAt parameter) {
      if (value.what == SqlValue::What::Parameter) {
        scratch.parameters[i] = parameter;
        return;
      }
      scratch.other.clear();
      one = one && append_literal(scratch.other, value.text) && agrees(scratch);
    };
    const bool repeated = i > 0 && said.texts[i].facts == said.texts[i - 1].facts &&
                          said.texts[i].text.data() == said.texts[i - 1].text.data();
    if (repeated) {  // a statement that is bound again and again
      scratch.parameters[i] = scratch.parameters[i - 1];
      continue;
    }
    if (!each_value(said.texts[i], database, scratch, look)) return std::nullopt;
  }
  for (const postgres::SaidBind& bind : said.binds) {
    const ParameterAt parameter = scratch.parameters[bind.text];
    if (parameter.number() == 0) continue;
    const auto passed = postgres::view_bind_parameter(bind.body, parameter.number() - 1);
    if (!passed || !passed->value) continue;
    scratch.other.clear();
    if (passed->binary) {
      const std::uint32_t said_type = declared(said.texts[bind.text].types, parameter.number());
      const std::uint32_t type =
          type_by_size(said_type != 0 ? said_type : told.of(parameter), passed->value->size());
      one = one && postgres::append_binary(scratch.other, type, *passed->value);
    } else {
      scratch.other = *passed->value;
    }
    one = one && agrees(scratch);
  }
  if (!one || scratch.user.empty()) return std::nullopt;
  return scratch.user;
}

std::optional<ParameterAt> SqlUserFields::undeclared(const SaidText& text, std::uint64_t database,
                                                     Scratch& scratch) const {
  std::optional<ParameterAt> found;
  const auto look = [&](const SqlValue&, ParameterAt parameter) {
    const bool open = parameter.number() != 0 && declared(text.types, parameter.number()) == 0;
    if (open) found = parameter;
  };
  return each_value(text, database, scratch, look) ? found : std::nullopt;
}

}  // namespace crossfade
