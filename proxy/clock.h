// Units of the clock that event loops have (uv_hrtime).
#pragma once

#include <cstdint>

namespace crossfade {

inline constexpr std::uint64_t kNsPerMs = 1'000'000;

}  // namespace crossfade
