// The time of day, where something is to happen by it. Tests hand in their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>
#include <functional>

namespace crossfade {

using Clock = std::function<std::int64_t()>;  // Unix time, seconds

// Milliseconds since some moment, which nobody sets back: where something is to happen after a
// while.
using MonotonicClock = std::function<std::int64_t()>;

inline MonotonicClock monotonic_clock() {
  return [] {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return std::int64_t{std::chrono::duration_cast<std::chrono::milliseconds>(since).count()};
  };
}

inline Clock system_clock() {
  return [] { return std::int64_t{std::time(nullptr)}; };
}

}  // namespace crossfade
