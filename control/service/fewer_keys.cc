// INFO keyspace of both, pair by pair.
#include "control/service/fewer_keys.h"

#include <array>
#include <optional>
#include <set>

#include "control/endpoint_pair.h"

namespace crossfade {

namespace {

constexpr int kLooks = 3;

std::string named(const EndpointPair& sides, Side side) {
  return "endpoint " + quoted(sides[static_cast<std::size_t>(side)]->identity.id);
}

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

// Keys come and go between one server's answer and the other's: who has fewer has so whoever is
// asked first.
std::string fewer_of_pair(const EndpointPair& sides, Side side, std::uint64_t suspected,
                          Servers& servers) {
  std::string found;
  for (int look = 0; look < kLooks; ++look) {
    const auto keys = counts_of(sides, look % 2 == 0 ? side : other(side), servers);
    if (!keys) return {};
    const std::uint64_t has = (*keys)[static_cast<std::size_t>(side)];
    const std::uint64_t other_has = (*keys)[static_cast<std::size_t>(other(side))];
    if (has + suspected + other_has / kFewerBy >= other_has) return {};
    found = named(sides, side) + " has " + std::to_string(has) + " keys, " +
            named(sides, other(side)) + " " + std::to_string(other_has);
  }
  return found;
}

}  // namespace

std::string fewer_keys(const State& state, const Migration& migration, Side side,
                       const Ledger& ledger, Servers& servers) {
  if (!migration.apis.empty()) return {};
  std::set<EndpointPair> asked;
  for (const Binding& binding : migration.bindings) {
    if (binding.taken_back) continue;
    const EndpointPair sides = sides_of(state, binding);
    if (sides[0]->address.kind != EndpointKind::Redis || !asked.insert(sides).second) continue;
    const std::uint64_t suspected = ledger.entries_at(migration.identity.uuid, pair_of(sides));
    std::string found = fewer_of_pair(sides, side, suspected, servers);
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace crossfade
