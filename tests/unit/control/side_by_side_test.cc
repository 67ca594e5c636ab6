// Waiting for many at once: each once, up to 16 at the same time, and all done in the end.
#include "control/side_by_side.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace crossfade {

TEST_CASE("side by side: each is done once, and all are when it returns") {
  for (const std::size_t count : {0u, 1u, 2u, 16u, 100u}) {
    std::vector<std::atomic<int>> done(count);
    side_by_side(count, [&](std::size_t i) { ++done[i]; });
    CHECK(std::ranges::all_of(done, [](const auto& times) { return times == 1; }));
  }
}

TEST_CASE("side by side: sixteen wait at once") {
  std::atomic<int> waiting = 0;
  std::atomic<bool> met = false;
  side_by_side(16, [&](std::size_t) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    if (++waiting == 16) met = true;
    while (!met && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
  });
  CHECK(met);
}

}  // namespace crossfade
