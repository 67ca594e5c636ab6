// Texts by the forms of their statements; by their values only where a template asks for some.
#include "strategies/sql_api_set.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "protocols/postgres/each_statement.h"
#include "strategies/known_template.h"

namespace crossfade {

namespace {

using postgres::Rendering;
using postgres::SaidText;
using postgres::SqlForm;
using postgres::TemplateSet;

std::vector<postgres::Template> read_sql(const std::vector<SqlApiSet::Entry>& entries) {
  std::vector<postgres::Template> templates;
  templates.reserve(entries.size());
  for (const SqlApiSet::Entry& entry : entries) {
    templates.push_back(known_sql_template(entry.query));
  }
  return templates;
}

bool is_written_anew(const SqlApiSet::Entry& entry) {
  return entry.moves && !entry.becomes.empty();
}

std::vector<std::optional<Rendering>> renderings_of(const std::vector<SqlApiSet::Entry>& entries,
                                                    const TemplateSet& templates) {
  std::vector<std::optional<Rendering>> renderings;
  if (std::ranges::none_of(entries, is_written_anew)) return renderings;
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    renderings.emplace_back();
    if (!is_written_anew(entries[i])) continue;
    renderings.back() = Rendering::between(templates.at(i), known_sql_template(entries[i].becomes),
                                           entries[i].fields);
  }
  return renderings;
}

}  // namespace

SqlApiSet::SqlApiSet(std::vector<Entry> entries)
    : entries_(std::move(entries)),
      names_(names_of(entries_)),
      templates_(read_sql(entries_)),
      renderings_(renderings_of(entries_, templates_)) {}

bool SqlApiSet::moves(const postgres::SaidTexts& texts, Scratch& scratch) const {
  scratch.anew = false;
  scratch.api.reset();
  bool any = false;
  for (const SaidText& text : texts) {
    const Said said = said_by(text, scratch);
    if (said == Said::Stays) return false;
    any |= said == Said::Moves;
  }
  return any;
}

const Rendering* SqlApiSet::rendering(std::optional<std::uint32_t> entry) const {
  const bool any = entry && renders() && renderings_[*entry];
  return any ? &*renderings_[*entry] : nullptr;
}

bool SqlApiSet::moves(std::optional<std::uint32_t> entry, Scratch& scratch) const {
  if (entry && !scratch.api) scratch.api = names_.of_entry(*entry);
  if (!entry || !entries_[*entry].moves) return false;
  const bool anew = rendering(entry) != nullptr;
  scratch.anew |= anew;
  return anew || entries_[*entry].becomes.empty();
}

// Of the statement whose normal form `scratch` has.
std::optional<std::uint32_t> SqlApiSet::match(postgres::FormMark mark,
                                              const Scratch& scratch) const {
  const TemplateSet::Alike* const alike = templates_.find(mark);
  return alike == nullptr ? std::nullopt : templates_.match(*alike, scratch.normal.values);
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
    if (alike->whatever && !moves(alike->whatever, scratch)) return Said::Stays;
    said = Said::Moves;
  }
  return asks_values ? said_by_values(text, scratch) : said;
}

SqlApiSet::Said SqlApiSet::said_by_values(const SaidText& text, Scratch& scratch) const {
  const bool all = each_statement(
      text, scratch.bare, scratch.normal, [&](const SqlForm& form, std::string_view) {
        return form.controls || moves(match(form.mark, scratch), scratch);
      });
  return all ? Said::Moves : Said::Stays;
}

bool SqlApiSet::render(const SaidText& said, Scratch& scratch, std::string& out) const {
  const auto may_be = [&](const SqlForm& form) {
    const TemplateSet::Alike* const alike = templates_.find(form.mark);
    return alike != nullptr && (!alike->whatever || rendering(alike->whatever) != nullptr);
  };
  if (!renders() || std::ranges::none_of(said.facts->forms, may_be)) return false;
  out.clear();
  bool anew = false;
  const auto add = [&](const SqlForm& form, std::string_view statement) {
    if (!out.empty()) out += "; ";
    const Rendering* const other = rendering(match(form.mark, scratch));
    anew |= other != nullptr;
    if (other != nullptr) {
      other->append(scratch.normal.values, out);
    } else {
      out += statement;
    }
    return true;
  };
  return each_statement(said, scratch.bare, scratch.normal, add) && anew;
}

}  // namespace crossfade
