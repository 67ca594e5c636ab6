// Templates of apis in the order in which they are asked.
#include "control/api_entries.h"

#include <algorithm>
#include <span>

#include "control/api_rules.h"

namespace crossfade {

bool has_api_of(const State& state, const Migration& migration, const std::string& endpoint) {
  return std::ranges::any_of(migration.apis, [&](const ApiBinding& part) {
    return endpoint_of(state, state.apis.at(part.api)->spec) == endpoint;
  });
}

std::vector<ApiSet::Entry> api_entries(const State& state, const Migration& migration,
                                       const std::string& endpoint) {
  std::vector<ApiSet::Entry> entries;
  std::size_t needed = 0;
  for (const ApiPtr& api : in_order(state)) {
    if (endpoint_of(state, api->spec) != endpoint) continue;
    const auto part = std::ranges::find(migration.apis, api->identity.uuid, &ApiBinding::api);
    for (const TemplateBinding& own : api->spec.bindings) {
      const auto& uuid = own.template_ref;
      const bool moves = part != migration.apis.end() &&
                         std::ranges::find(part->bindings, uuid, &TemplateBinding::template_ref) !=
                             part->bindings.end();
      entries.push_back({.query = state.templates.at(uuid)->spec.query, .moves = moves});
      if (moves) needed = entries.size();
    }
  }
  entries.resize(needed);
  return entries;
}

bool keep_moving(const std::vector<ApiSet::Entry>& before,
                 const std::vector<ApiSet::Entry>& after) {
  if (after.size() < before.size()) return false;
  return std::ranges::equal(before, std::span(after).first(before.size()),
                            [](const ApiSet::Entry& one, const ApiSet::Entry& other) {
                              return one.query == other.query && (other.moves || !one.moves);
                            });
}

}  // namespace crossfade
