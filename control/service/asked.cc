// The questions of a test.
#include "control/service/asked.h"

#include <vector>

#include "control/service/endpoints.h"
#include "control/side_by_side.h"

namespace crossfade {

Asked::Asked(const State& state, const Migration& migration, Servers& servers) {
  const auto add = [&](const std::string& uuid) -> Told& {
    return told_.try_emplace(uuid, Told{.endpoint = state.endpoints.at(uuid)}).first->second;
  };
  for (const Binding& binding : migration.bindings) {
    add(state.interlays.at(binding.interlay)->endpoint).is_old = true;
    add(binding.endpoint).is_new = true;
  }
  std::vector<Told*> each;
  for (auto& [uuid, one] : told_) each.push_back(&one);
  side_by_side(each.size(), [&](std::size_t i) { ask(*each[i], servers); });
}

void Asked::ask(Told& one, Servers& servers) {
  const Endpoint& endpoint = *one.endpoint;
  if (endpoint.address.kind == EndpointKind::Redis) {
    one.redis = servers.ask(endpoint.identity.uuid, endpoint.address, kCheckTimeout_ms);
    if (one.is_new && *one.redis) {
      one.writes = servers.ask_for_writes(endpoint.address, kCheckTimeout_ms);
    }
    return;
  }
  one.postgres = servers.survey(endpoint, kCheckTimeout_ms);
  if (one.is_old && *one.postgres) servers.catalogs().read(endpoint, kCheckTimeout_ms);
}

}  // namespace crossfade
