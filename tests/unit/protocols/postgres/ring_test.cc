// The ring: a queue, whatever its length has been.
#include "protocols/postgres/ring.h"

#include <doctest/doctest.h>

#include <deque>

namespace crossfade::postgres {
namespace {

TEST_CASE("ring: what goes in comes out in order, through growth and wrapping") {
  Ring<int> ring;
  std::deque<int> queue;
  int next = 0;
  std::size_t wrong = 0;
  for (const std::size_t most : {3u, 20u, 5u, 5'000u, 0u, 40u, 0u}) {
    for (int round = 0; round < 100; ++round) {
      while (ring.size() < most) {
        ring.push(next);
        queue.push_back(next++);
      }
      wrong += most > 0 && ring.at(most / 2) != queue[most / 2] ? 1 : 0;
      while (ring.size() > most / 2) {
        wrong += ring.front() != queue.front() ? 1 : 0;
        ring.pop();
        queue.pop_front();
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(ring.empty());
  ring.push(1);
  ring.clear();
  CHECK(ring.empty());
}

}  // namespace
}  // namespace crossfade::postgres
