// The key patterns of templates, and what becomes of them.
#include "strategies/api_keys.h"

#include <algorithm>
#include <cassert>
#include <utility>

#include "strategies/known_template.h"
#include "strategies/plan.h"

namespace crossfade {

namespace {

bool is_rendered(const ApiSet::Entry& entry) { return entry.moves && !entry.becomes.empty(); }

std::vector<std::optional<redis::Rendering>> renderings_of(
    const std::vector<ApiSet::Entry>& entries) {
  std::vector<std::optional<redis::Rendering>> renderings;
  if (std::ranges::none_of(entries, is_rendered)) return renderings;
  for (const ApiSet::Entry& entry : entries) {
    renderings.emplace_back();
    if (!is_rendered(entry)) continue;
    renderings.back().emplace(known_template(entry.query), known_template(entry.becomes),
                              entry.fields);
  }
  return renderings;
}

std::vector<redis::Template> templates_of(const std::vector<ApiSet::Entry>& entries) {
  std::vector<redis::Template> templates;
  if (std::ranges::none_of(entries, is_rendered)) return templates;
  for (const ApiSet::Entry& entry : entries) templates.push_back(known_template(entry.query));
  return templates;
}

}  // namespace

ApiKeys::Patterns ApiKeys::patterns_of(const std::vector<ApiSet::Entry>& entries) {
  Patterns patterns;
  for (std::uint32_t i = 0; i < entries.size(); ++i) {
    const redis::Template form = known_template(entries[i].query);
    const auto keys = redis::key_arguments(form);
    assert(keys || !entries[i].moves);
    if (!keys) continue;  // it takes no key from others, as nobody knows which are its own
    for (const std::size_t key : *keys) {
      patterns.of_keys.push_back(form.arguments[key]);
      patterns.entries.push_back(i);
    }
  }
  return patterns;
}

ApiKeys::ApiKeys(std::vector<ApiSet::Entry> entries) : ApiKeys(entries, patterns_of(entries)) {}

ApiKeys::ApiKeys(std::vector<ApiSet::Entry> entries, Patterns patterns)
    : entries_(std::move(entries)),
      names_(names_of(entries_)),
      patterns_(std::move(patterns.of_keys)),
      entry_of_(std::move(patterns.entries)),
      renderings_(renderings_of(entries_)),
      templates_(templates_of(entries_)) {}

ApiKeys::Place ApiKeys::place_of(std::string_view key) const {
  const auto number = patterns_.match(key);
  if (!number) return {.bucket = kBeyond, .api = std::nullopt};
  const std::uint32_t entry = entry_of_[*number];
  return {.bucket = entries_[entry].moves ? redis::key_bucket(key) : kBeyond,
          .api = names_.of_entry(entry)};
}

bool ApiKeys::in_other_form(const redis::RequestFacts& facts, const redis::RequestCutter& cutter,
                            std::string_view bytes) const {
  if (!renders() || facts.key_count == 0) return false;
  bool found = false;
  redis::for_each_key(*facts.spec, cutter, bytes, [&](std::string_view key) {
    const auto number = patterns_.match(key);
    found = found || (number && renderings_[entry_of_[*number]]);
  });
  return found;
}

ApiKeys::Form ApiKeys::render(const redis::RequestFacts& facts, const redis::RequestCutter& cutter,
                              std::string_view bytes, std::vector<std::string_view>& values,
                              std::string& out) const {
  if (!in_other_form(facts, cutter, bytes)) return Form::AsItIs;
  const redis::TemplateSet::Match match = templates_.match(cutter, bytes);
  if (match.state != redis::TemplateSet::Match::State::Found) return Form::Foreign;
  const auto& rendering = renderings_[match.index];
  if (!rendering) return Form::Foreign;
  rendering->render(cutter, bytes, values, out);
  return Form::Anew;
}

}  // namespace crossfade
