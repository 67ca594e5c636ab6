// The time of day, where something is to happen by it. Tests hand in their own.
#pragma once

#include <cstdint>
#include <ctime>
#include <functional>

namespace crossfade {

using Clock = std::function<std::int64_t()>;  // Unix time, seconds

inline Clock system_clock() {
  return [] { return std::int64_t{std::time(nullptr)}; };
}

}  // namespace crossfade
