// What a write's turn costs when nobody else wants its key: naming the key, take, leave, clear.
//
// Prints nanoseconds per turn, best and median of several rounds: alone, and beside another thread
// that takes turns for other keys, at the pace of a loop under full load and without a rest. No
// I/O.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proxy/write_order.h"

namespace crossfade {
namespace {

constexpr int kRounds = 15;
constexpr int kTurns = 400'000;
constexpr std::size_t kKeys = 50'000;  // the table of slots is then not in the first cache
constexpr std::chrono::nanoseconds kPaceOfLoop{2'000};  // a deep pipeline's write, all in all

// Beside another thread a turn may have to wait, as keys share slots: it is given back all the
// same.
void on_granted(WriteOrder::Turn&) {}

std::vector<std::string> keys_named(const char* prefix, std::size_t count) {
  std::vector<std::string> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back(prefix + std::to_string(100'000 + i));
  return keys;
}

// One turn at a time, at one key after another.
class Writer {
 public:
  Writer(WriteOrder& order, std::uint64_t owner, std::vector<std::string> keys)
      : order_(order), owner_(owner), keys_(std::move(keys)) {}

  void once() {
    at_ = at_ + 1 < keys_.size() ? at_ + 1 : 0;
    turn_.owner = owner_;
    turn_.want(0, keys_[at_]);
    order_.take(turn_);
    order_.leave(turn_);
    turn_.clear();
  }

 private:
  WriteOrder& order_;
  std::uint64_t owner_;
  std::vector<std::string> keys_;
  std::size_t at_ = 0;
  WriteOrder::Turn turn_{&on_granted};
};

void measure(const char* name, WriteOrder& order, std::size_t keys) {
  Writer writer(order, 1, keys_named("key:", keys));
  std::array<double, kRounds> rounds;
  for (double& round : rounds) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kTurns; ++i) writer.once();
    const auto spent = std::chrono::steady_clock::now() - begin;
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count();
    round = static_cast<double>(ns) / kTurns;
  }
  std::sort(rounds.begin(), rounds.end());
  std::printf("%-34s %7.1f ns best %7.1f ns median\n", name, rounds[0], rounds[kRounds / 2]);
}

void measure_beside(const char* name, WriteOrder& order, std::chrono::nanoseconds pace) {
  std::atomic<bool> over = false;
  std::thread beside([&order, &over, pace] {
    Writer other(order, 2, keys_named("other:", kKeys));
    while (!over.load(std::memory_order_relaxed)) {
      const auto next = std::chrono::steady_clock::now() + pace;
      other.once();
      while (std::chrono::steady_clock::now() < next) continue;
    }
  });
  measure(name, order, kKeys);
  over = true;
  beside.join();
}

void measure_all() {
  WriteOrder order;
  measure("one key", order, 1);
  measure("many keys", order, kKeys);
  measure_beside("many keys, beside a loop", order, kPaceOfLoop);
  measure_beside("many keys, beside a thread at it", order, {});
}

}  // namespace
}  // namespace crossfade

int main() { crossfade::measure_all(); }
