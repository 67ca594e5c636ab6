// Where clients are: regions by name, with the networks that belong to them, as "settings.regions"
// of an interlay has them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/json/value.h"
#include "protocols/base/result.h"
#include "strategies/networks.h"

namespace crossfade {

inline constexpr std::size_t kRegionMax = 128;      // bytes of a region's name
inline constexpr std::size_t kRegionsMax = 1'000;   // of a strategy
inline constexpr std::size_t kNetworksMax = 1'000;  // of an interlay

using Regions = std::map<std::string, std::vector<Network>>;

// Reads {"eu-west-1": ["10.1.0.0/16", "fd00:1::/32", "10.9.9.9"], …}; null is none.
//   errors  BadInput: "settings.regions.eu-west-1[0]: must be a network, …"
Result<Regions> read_regions(const Json& json, const std::string& path);

Json render(const Regions& regions);

}  // namespace crossfade
