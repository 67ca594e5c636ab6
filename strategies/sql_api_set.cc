// Texts by the forms of their statements; by their values only where a template asks for some.
#include "strategies/sql_api_set.h"

#include <cassert>
#include <string_view>
#include <utility>

#include "protocols/postgres/sql_comments.h"

namespace crossfade {

namespace {

using postgres::SaidText;
using postgres::SqlForm;
using postgres::TemplateSet;

std::vector<postgres::Template> read_all(const std::vector<SqlApiSet::Entry>& entries) {
  std::vector<postgres::Template> templates;
  templates.reserve(entries.size());
  for (const SqlApiSet::Entry& entry : entries) {
    auto read = postgres::read_template(entry.query);
    assert(read);
    templates.push_back(std::move(*read));
  }
  return templates;
}

}  // namespace

SqlApiSet::SqlApiSet(std::vector<Entry> entries)
    : entries_(std::move(entries)), templates_(read_all(entries_)) {}

bool SqlApiSet::moves(const postgres::SaidTexts& texts, Scratch& scratch) const {
  bool any = false;
  for (const SaidText& text : texts) {
    const Said said = said_by(text, scratch);
    if (said == Said::Stays) return false;
    any |= said == Said::Moves;
  }
  return any;
}

SqlApiSet::Said SqlApiSet::said_by(const SaidText& text, Scratch& scratch) const {
  if (text.facts->forms.empty()) return Said::Stays;
  Said said = Said::Nothing;
  bool asks_values = false;
  for (const SqlForm& form : text.facts->forms) {
    if (form.controls) continue;
    const TemplateSet::Alike* const alike = templates_.find(form.mark);
    if (alike == nullptr) return Said::Stays;
    asks_values |= !alike->whatever;
    if (alike->whatever && !entries_[*alike->whatever].moves) return Said::Stays;
    said = Said::Moves;
  }
  return asks_values ? said_by_values(text, scratch) : said;
}

SqlApiSet::Said SqlApiSet::said_by_values(const SaidText& text, Scratch& scratch) const {
  std::string_view bare = text.text;
  if (!postgres::has_no_comment(bare)) {
    if (postgres::without_comments(bare, scratch.bare) != postgres::SqlLexis::Plain) {
      return Said::Stays;
    }
    bare = scratch.bare;
  }
  std::size_t at = 0;
  for (const SqlForm& form : text.facts->forms) {
    do {  // semicolons with nothing between them
      if (at == bare.size() || !postgres::normalise_next(bare, at, scratch.normal)) {
        return Said::Stays;
      }
    } while (scratch.normal.form.empty());
    if (form.controls) continue;
    const TemplateSet::Alike* const alike = templates_.find(form.mark);
    const auto first =
        alike == nullptr ? std::nullopt : templates_.match(*alike, scratch.normal.values);
    if (!first || !entries_[*first].moves) return Said::Stays;
  }
  return Said::Moves;
}

}  // namespace crossfade
