// The ring: a queue, whatever its length has been.
#include "protocols/postgres/ring.h"

#include <doctest/doctest.h>

#include <deque>
#include <string>

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

struct Forgetful {
  int value = 0;
  std::string text;
  void forget() { std::string().swap(text); }
};

TEST_CASE("ring: what is filled in has no text of who was there before") {
  Ring<Forgetful> ring;
  std::size_t wrong = 0;
  for (int i = 0; i < 1'000; ++i) {
    Forgetful& last = ring.push();
    wrong += last.text.empty() ? 0 : 1;
    last.value = i;
    last.text = std::string(100, 'x');
    wrong += &last == &ring.back() ? 0 : 1;
    if (i < 40) continue;  // as long as it has to grow
    wrong += ring.front().value == i - 40 && ring.front().text.size() == 100 ? 0 : 1;
    ring.pop();
  }
  CHECK(ring.size() == 40);
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace crossfade::postgres
