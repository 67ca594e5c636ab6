// The fleet-stable split: where a key lies on the line from 0 to kWhole.
//
// Every sidecar, on every machine and in every release, puts the same bytes at the same place, so a
// share of the line is the same set of keys everywhere, and a larger share only ever adds keys.
#pragma once

#include <cstdint>
#include <string_view>

namespace crossfade {

// Shares are parts per million: 0.05 in the API is 50,000 here; exact for six decimals.
inline constexpr std::uint32_t kWhole = 1'000'000;

// Returns the bucket of `bytes`, in 0..kWhole-1.
//   bytes    any bytes; not retained
//   cost     O(len), no allocation
//   source   XXH3 64 bit, seed 0 (stable since xxHash 0.8.0): (high 32 bits * kWhole) >> 32
std::uint32_t bucket_of(std::string_view bytes);

}  // namespace crossfade
