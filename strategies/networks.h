// Networks of clients, for strategies that ask where one is.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace crossfade {

// An IPv6 address, most significant byte first; IPv4 as ::ffff:a.b.c.d.
using ClientAddress = std::array<std::uint8_t, 16>;

// All addresses that begin with the same bits.
struct Network {
  ClientAddress address{};  // bits behind the prefix are 0
  std::uint8_t prefix = 0;  // bits, 0..128; those of IPv4 count from 96

  bool operator==(const Network&) const = default;
};

bool contains(const Network& network, const ClientAddress& address);

// A network of a region, and whether that region has gone to new.
struct RegionNetwork {
  Network network;
  bool migrated = false;

  bool operator==(const RegionNetwork&) const = default;
};

// Whether the region of the narrowest network that has this address has gone; nullopt: none has it.
//   cost  O(networks)
std::optional<bool> region_migrated(const std::vector<RegionNetwork>& networks,
                                    const ClientAddress& address);

}  // namespace crossfade
