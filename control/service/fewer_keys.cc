// INFO keyspace of both, pair by pair.
#include "control/service/fewer_keys.h"

#include <array>
#include <set>

#include "control/endpoint_pair.h"

namespace crossfade {

namespace {

constexpr std::uint64_t kFewerBy = 100;  // one in a hundred

}  // namespace

std::string fewer_keys(const State& state, const Migration& migration, Side side,
                       const std::optional<Ledger::Summary>& summary, Servers& servers) {
  if (!migration.apis.empty()) return {};
  const std::uint64_t suspected = summary ? summary->entries : 0;
  std::set<EndpointPair> asked;
  for (const Binding& binding : migration.bindings) {
    const EndpointPair sides = sides_of(state, binding);
    if (!asked.insert(sides).second) continue;
    std::array<std::uint64_t, kSides> keys{};
    bool told = true;
    for (std::size_t one = 0; one < kSides && told; ++one) {
      const auto probe =
          servers.ask(sides[one]->identity.uuid, sides[one]->address, kCheckTimeout_ms);
      told = probe.ok() && !probe->info_refused;
      if (told) keys[one] = probe->keys;
    }
    const std::uint64_t has = keys[static_cast<std::size_t>(side)];
    const std::uint64_t other_has = keys[static_cast<std::size_t>(other(side))];
    if (!told || has + suspected + other_has / kFewerBy >= other_has) continue;
    const auto named = [&](Side one) {
      return "endpoint " + quoted(sides[static_cast<std::size_t>(one)]->identity.id);
    };
    return named(side) + " has " + std::to_string(has) + " keys, " + named(other(side)) + " " +
           std::to_string(other_has);
  }
  return {};
}

}  // namespace crossfade
