// A thread for each that is waited for, up to a limit.
#include "control/side_by_side.h"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace crossfade {

void side_by_side(std::size_t count, const std::function<void(std::size_t)>& one) {
  constexpr std::size_t kAtOnce_max = 16;
  std::atomic<std::size_t> next = 0;
  const auto some = [&] {
    for (std::size_t mine = next++; mine < count; mine = next++) one(mine);
  };
  if (count <= 1) return some();
  std::vector<std::jthread> threads;
  try {
    while (threads.size() < std::min(count, kAtOnce_max)) threads.emplace_back(some);
  } catch (const std::system_error&) {  // there are no more to be had: those that there are do it
    if (threads.empty()) some();
  }
}

}  // namespace crossfade
