// A template set, and what each of its templates is to a migration.
#include "strategies/api_set.h"

#include <utility>

#include "strategies/known_template.h"

namespace crossfade {

namespace {

std::vector<redis::Template> read_all(const std::vector<ApiSet::Entry>& entries) {
  std::vector<redis::Template> templates;
  templates.reserve(entries.size());
  for (const ApiSet::Entry& entry : entries) {
    templates.push_back(known_template(entry.query));
  }
  return templates;
}

}  // namespace

ApiSet::ApiSet(std::vector<Entry> entries)
    : entries_(std::move(entries)), names_(names_of(entries_)), templates_(read_all(entries_)) {}

std::optional<std::uint32_t> ApiSet::entry_of(const redis::RequestCutter& cutter,
                                              std::string_view bytes) const {
  const redis::TemplateSet::Match match = templates_.match(cutter, bytes);
  if (match.state != redis::TemplateSet::Match::State::Found) return std::nullopt;
  return match.index;
}

ApiNames names_of(const std::vector<ApiSet::Entry>& entries) {
  ApiNames names;
  for (const ApiSet::Entry& entry : entries) names.add(entry.api);
  return names;
}

}  // namespace crossfade
