// Templates: whatever is read of an operator's text, Redis requests and SQL are matched as trying
// each template would, at once or in pieces; and what is written anew by another template is a
// statement of that one, with the same values. The first lines are templates, the rest is a
// request.
#include "protocols/postgres/rendering.h"
#include "protocols/postgres/sql_comments.h"
#include "protocols/postgres/template_set.h"
#include "protocols/redis/template_set.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/protocols/redis/template_model.h"

namespace crossfade {
namespace {

using fuzz::require;

// The model tries everything: bytes of an argument, and pieces of a template's.
constexpr std::size_t kBytesMax = 24;
constexpr std::size_t kPiecesMax = 9;
constexpr std::size_t kTemplates = 8;

// Takes a line off.
std::string_view line_of(std::string_view& rest) {
  const std::string_view line = rest.substr(0, rest.find('\n'));
  rest.remove_prefix(std::min(rest.size(), line.size() + 1));
  return line;
}

void check_redis(const std::vector<redis::Template>& forms, std::string_view bytes) {
  const redis::TemplateSet set(forms);
  redis::RequestCutter cutter;
  const redis::Cut cut = cutter.advance(bytes);
  if (!std::holds_alternative<redis::Request>(cut)) {
    (void)set.match(cutter, bytes);
    return;
  }
  const redis::Words words = redis::words_of(cutter, bytes);
  for (const std::string& word : words) {
    if (word.size() > kBytesMax) return;
  }
  for (const redis::Template& form : forms) {
    for (const auto& argument : form.arguments) {
      if (argument.size() > kPiecesMax) return;
    }
  }
  if (words.empty()) return;
  using State = redis::TemplateSet::Match::State;
  const redis::TemplateSet::Match match = set.match(cutter, bytes);
  const auto expected = redis::model_match(forms, words);
  require(match.state != State::NeedMore, "a whole request tells");
  require((match.state == State::Found) == expected.has_value(), "it matches as the model says");
  if (!expected) return;
  require(match.index == *expected, "the first one that matches is found");
  std::vector<std::string_view> values;
  redis::field_values(set.at(match.index), cutter, bytes, values);
  const redis::Values told = *redis::model_match(forms[*expected], words);
  for (std::size_t i = 0; i < values.size(); ++i) {
    require(told.at(set.at(match.index).fields[i]) == values[i], "fields are the model's");
  }
}

// With each field the other's of the same place.
void check_rendering(const postgres::Template& from, const postgres::Template& to,
                     const std::vector<postgres::SqlValue>& values) {
  postgres::Rendering::Fields fields;
  for (std::size_t i = 0; i < std::min(from.fields.size(), to.fields.size()); ++i) {
    fields.emplace_back(to.fields[i], from.fields[i]);
  }
  const auto rendering = postgres::Rendering::between(from, to, fields);
  require(rendering.has_value() == (from.fields.size() == to.fields.size()),
          "there is one where all fields have each other");
  if (!rendering) return;
  std::string text;
  rendering->append(values, text);
  // What a sign belongs to hangs on what stands before it.
  const auto is_signed = [](const postgres::SqlValue& value) {
    return value.text.starts_with('-') || value.text.starts_with('+');
  };
  const std::string mark(1, postgres::kValueMark);
  const bool behind_sign = to.form.find("+ " + mark) != std::string::npos ||
                           to.form.find("- " + mark) != std::string::npos;
  if (behind_sign || std::ranges::any_of(values, is_signed)) return;
  postgres::NormalSql normal;
  require(postgres::normalise(text, normal), "it is SQL");
  require(normal.form == to.form, "it is of the other template's form");
  require(values_match(to, normal.values), "it matches the other template");
  for (std::size_t i = 0; i < to.values.size(); ++i) {
    if (!to.values[i].field) continue;
    const auto first =
        std::ranges::find(from.values, to.values[i].field, &postgres::Template::Value::field);
    const auto& value = values[static_cast<std::size_t>(first - from.values.begin())];
    require(value.text == normal.values[i].text && value.what == normal.values[i].what,
            "a value is what it was");
  }
}

void check_sql(const std::vector<postgres::Template>& forms, std::string_view sql) {
  std::string text;
  if (postgres::without_comments(sql, text) != postgres::SqlLexis::Plain) return;
  postgres::NormalSql normal;
  if (!postgres::normalise(text, normal)) return;
  for (const postgres::SqlValue& value : normal.values) {
    require(!value.text.empty(), "a value has bytes");
    (void)postgres::plain_value(value.text);
  }
  const postgres::TemplateSet set(forms);
  const auto match = set.match(normal);
  for (std::uint32_t i = 0; i < forms.size(); ++i) {
    if (forms[i].form != normal.form || !values_match(forms[i], normal.values)) continue;
    require(match == i, "the first one that matches is found");
    std::vector<postgres::SqlValue> values;
    field_values(forms[i], normal, values);
    for (const postgres::Template& to : forms) check_rendering(forms[i], to, normal.values);
    return;
  }
  require(!match, "nothing matches where none does");
}

void check(const fuzz::Input& input) {
  std::string_view rest = input.bytes;
  std::vector<redis::Template> requests;
  std::vector<postgres::Template> statements;
  for (std::size_t i = 0; i < kTemplates && rest.find('\n') != rest.npos; ++i) {
    const std::string_view line = line_of(rest);
    if (auto form = redis::read_template(line)) requests.push_back(std::move(*form));
    if (auto form = postgres::read_template(line)) {
      // Its own text, fields as parameters, matches it.
      check_sql({*form}, form->sql);
      statements.push_back(std::move(*form));
    }
  }
  check_redis(requests, rest);
  check_sql(statements, rest);
}

}  // namespace
}  // namespace crossfade

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::check(crossfade::fuzz::read_input(data, size));
  return 0;
}
