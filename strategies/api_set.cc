// A template set, and what each of its templates is to a migration.
#include "strategies/api_set.h"

#include <cassert>
#include <utility>

namespace crossfade {

namespace {

std::vector<redis::Template> read_all(const std::vector<ApiSet::Entry>& entries) {
  std::vector<redis::Template> templates;
  templates.reserve(entries.size());
  for (const ApiSet::Entry& entry : entries) {
    auto read = redis::read_template(entry.query);
    assert(read);
    templates.push_back(std::move(*read));
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
