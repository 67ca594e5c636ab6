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
    : entries_(std::move(entries)), templates_(read_all(entries_)) {}

bool ApiSet::moves(const redis::RequestCutter& cutter, std::string_view bytes) const {
  const redis::TemplateSet::Match match = templates_.match(cutter, bytes);
  return match.state == redis::TemplateSet::Match::State::Found && entries_[match.index].moves;
}

}  // namespace crossfade
