// Prefixes compared bit by bit.
#include "strategies/networks.h"

#include <algorithm>
#include <cassert>

namespace crossfade {

bool contains(const Network& network, const ClientAddress& address) {
  assert(network.prefix <= 128);
  const std::size_t whole = network.prefix / 8;
  if (!std::equal(address.begin(), address.begin() + whole, network.address.begin())) return false;
  const unsigned rest = network.prefix % 8;
  if (rest == 0) return true;
  return (address[whole] ^ network.address[whole]) >> (8 - rest) == 0;
}

std::optional<bool> region_migrated(const std::vector<RegionNetwork>& networks,
                                    const ClientAddress& address) {
  const RegionNetwork* narrowest = nullptr;
  for (const RegionNetwork& one : networks) {
    if (!contains(one.network, address)) continue;
    if (narrowest == nullptr || one.network.prefix > narrowest->network.prefix) narrowest = &one;
  }
  if (narrowest == nullptr) return std::nullopt;
  return narrowest->migrated;
}

}  // namespace crossfade
