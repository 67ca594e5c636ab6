// The key patterns of templates, and whether they move.
#include "strategies/api_keys.h"

#include <cassert>
#include <utility>

#include "protocols/redis/facts.h"
#include "protocols/redis/template.h"
#include "strategies/plan.h"

namespace crossfade {

ApiKeys::Patterns ApiKeys::patterns_of(const std::vector<ApiSet::Entry>& entries) {
  Patterns patterns;
  for (const ApiSet::Entry& entry : entries) {
    auto form = redis::read_template(entry.query);
    assert(form);
    const auto keys = redis::key_arguments(*form);
    assert(keys || !entry.moves);
    if (!keys) continue;  // it takes no key from others, as nobody knows which are its own
    for (const std::size_t key : *keys) {
      patterns.of_keys.push_back(form->arguments[key]);
      patterns.move.push_back(entry.moves);
    }
  }
  return patterns;
}

ApiKeys::ApiKeys(std::vector<ApiSet::Entry> entries) : ApiKeys(entries, patterns_of(entries)) {}

ApiKeys::ApiKeys(std::vector<ApiSet::Entry> entries, Patterns patterns)
    : entries_(std::move(entries)),
      patterns_(std::move(patterns.of_keys)),
      move_(std::move(patterns.move)) {}

std::uint32_t ApiKeys::bucket(std::string_view key) const {
  const auto number = patterns_.match(key);
  return number && move_[*number] ? redis::key_bucket(key) : kBeyond;
}

}  // namespace crossfade
