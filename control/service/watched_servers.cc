// Both sides of every migration that writes to both.
#include "control/service/watched_servers.h"

#include "control/endpoint_pair.h"

namespace crossfade {

LedgerServer ledger_server(Side side, const EndpointAddress& address, const ServerSight& sight) {
  return {.endpoint = address.id,
          .place = address.host + ":" + std::to_string(address.port),
          .run_id = sight.run_id,
          .evicted_keys = sight.evicted_keys,
          .takeovers = sight.takeovers,
          .side = side};
}

std::vector<WatchedServer> WatchedServers::all() const {
  const StatePtr state = keeper_.state();
  std::vector<WatchedServer> servers;
  for (const auto& [uuid, migration] : state->migrations) {
    if (!writes_both_by(*migration, Engine::Effect)) continue;
    for (const Binding& binding : migration->bindings) {
      const EndpointPair sides = sides_of(*state, binding);
      servers.push_back({migration->identity.id, Side::Old, sides[0]->address});
      servers.push_back({migration->identity.id, Side::New, sides[1]->address});
    }
  }
  return servers;
}

void WatchedServers::saw(const WatchedServer& server, const ServerSight& sight) {
  ledger_.saw(server.migration, ledger_server(server.side, server.address, sight));
}

}  // namespace crossfade
