// INFO keyspace of both, pair by pair.
#include "control/service/fewer_keys.h"

#include <array>
#include <set>

#include "control/endpoint_pair.h"

namespace crossfade {

namespace {

constexpr int kLooks = 3;

// Of both servers, as they are asked one after the other; nullopt: one does not tell.
std::optional<std::array<std::uint64_t, kSides>> counts_of(const EndpointPair& sides, Side first,
                                                           Servers& servers) {
  std::array<std::uint64_t, kSides> keys{};
  for (const Side side : {first, other(first)}) {
    const Endpoint& endpoint = *sides[static_cast<std::size_t>(side)];
    const auto probe = servers.ask(endpoint.identity.uuid, endpoint.address, kCheckTimeout_ms);
    if (!probe.ok() || probe->info_refused) return std::nullopt;
    keys[static_cast<std::size_t>(side)] = probe->keys;
  }
  return keys;
}

}  // namespace

// Keys come and go between one server's answer and the other's: who has fewer has so whoever is
// asked first.
std::string fewer_keys(const State& state, const Migration& migration, Side side,
                       const std::optional<Ledger::Summary>& summary, Servers& servers) {
  if (!migration.apis.empty()) return {};
  const std::uint64_t suspected = summary ? summary->entries : 0;
  std::set<EndpointPair> asked;
  for (const Binding& binding : migration.bindings) {
    const EndpointPair sides = sides_of(state, binding);
    if (!asked.insert(sides).second) continue;
    std::string found;
    for (int look = 0; look < kLooks; ++look) {
      const auto keys = counts_of(sides, look % 2 == 0 ? side : other(side), servers);
      found.clear();
      if (!keys) break;
      const std::uint64_t has = (*keys)[static_cast<std::size_t>(side)];
      const std::uint64_t other_has = (*keys)[static_cast<std::size_t>(other(side))];
      if (has + suspected + other_has / kFewerBy >= other_has) break;
      const auto named = [&](Side one) {
        return "endpoint " + quoted(sides[static_cast<std::size_t>(one)]->identity.id);
      };
      found = named(side) + " has " + std::to_string(has) + " keys, " + named(other(side)) + " " +
              std::to_string(other_has);
    }
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace crossfade
