// The order of dual writes against a model of it: every sequence of a few steps, long random ones,
// and threads.
#include "proxy/write_order.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

using crossfade::WriteOrder;

namespace {

// A turn that knows whether it was told.
struct Asked {
  WriteOrder::Turn turn{[](WriteOrder::Turn& of) { static_cast<Asked*>(of.context)->told = true; }};
  Asked() { turn.context = this; }
  bool told = false;
  bool granted = false;
  std::vector<std::string> keys;  // sorted
};

bool in_conflict(const Asked& before, const Asked& after) {
  if (before.turn.sole || after.turn.sole) return true;
  if (before.turn.owner == after.turn.owner) return false;
  return std::any_of(before.keys.begin(), before.keys.end(), [&](const std::string& key) {
    return std::binary_search(after.keys.begin(), after.keys.end(), key);
  });
}

// Runs steps against the order, and after each compares who is granted with what the definition
// says: whoever has no conflict with an earlier turn that is still there.
class Checked {
 public:
  void take(std::uint64_t owner, std::vector<std::string> keys) {
    auto asked = std::make_unique<Asked>();
    asked->turn.owner = owner;
    asked->turn.sole = keys.empty();
    for (const std::string& key : keys) asked->turn.want(0, key);
    asked->keys = std::move(keys);
    asked->granted = order_.take(asked->turn);
    there_.push_back(std::move(asked));
    check();
  }
  void leave(std::size_t index) {
    order_.leave(there_[index]->turn);
    there_.erase(there_.begin() + static_cast<std::ptrdiff_t>(index));
    check();
  }
  // A session sends nothing behind a write that waits for its turn.
  bool may_take(std::uint64_t owner) const {
    return std::none_of(there_.begin(), there_.end(),
                        [&](const auto& one) { return one->turn.owner == owner && !one->granted; });
  }
  std::size_t size() const { return there_.size(); }
  bool good() const { return good_; }

 private:
  void check() {
    for (std::size_t i = 0; i < there_.size(); ++i) {
      Asked& one = *there_[i];
      if (one.told) {
        if (one.granted) good_ = false;  // told twice, or told what take() had said
        one.granted = true;
        one.told = false;
      }
      bool may = true;
      for (std::size_t j = 0; j < i; ++j) may = may && !in_conflict(*there_[j], one);
      if (may != one.granted) good_ = false;
    }
  }
  WriteOrder order_;
  std::vector<std::unique_ptr<Asked>> there_;
  bool good_ = true;
};

const std::vector<std::vector<std::string>> kWants = {{"a"}, {"b"}, {"a", "b"}, {}};

// A step is a number: first the takes (owner, want), then the leaves by place.
struct Steps {
  std::size_t owners;
  std::size_t takes() const { return owners * kWants.size(); }
  // False: not possible now.
  bool run(Checked& checked, std::size_t step) const {
    if (step < takes()) {
      const std::uint64_t owner = step / kWants.size();
      if (!checked.may_take(owner)) return false;
      checked.take(owner, kWants[step % kWants.size()]);
      return true;
    }
    if (step - takes() >= checked.size()) return false;
    checked.leave(step - takes());
    return true;
  }
};

std::uint64_t run_all(const Steps& steps, std::vector<std::size_t>& path, std::size_t depth) {
  std::uint64_t runs = 0;
  for (std::size_t step = 0; step < steps.takes() + depth; ++step) {
    Checked checked;
    for (const std::size_t earlier : path) steps.run(checked, earlier);
    if (!steps.run(checked, step)) continue;
    ++runs;
    REQUIRE(checked.good());
    if (path.size() + 1 == depth) continue;
    path.push_back(step);
    runs += run_all(steps, path, depth);
    path.pop_back();
  }
  return runs;
}

}  // namespace

TEST_CASE(
    "write order: in every sequence of a few steps, who has no conflict before him is granted") {
  std::vector<std::size_t> path;
  CHECK(run_all({.owners = 2}, path, 4) > 1000);
  CHECK(run_all({.owners = 3}, path, 3) > 1000);
}

TEST_CASE("write order: so it is in long random sequences") {
  for (std::uint32_t seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    Checked checked;
    for (int step = 0; step < 300; ++step) {
      const bool leaves = checked.size() > 0 && random() % 100 < (checked.size() > 12 ? 70 : 45);
      if (leaves) {
        checked.leave(random() % checked.size());
        continue;
      }
      const std::uint64_t owner = random() % 6;
      if (!checked.may_take(owner)) continue;
      std::vector<std::string> keys;
      for (char key = 'a'; key < 'g'; ++key) {
        if (random() % 4 == 0) keys.emplace_back(1, key);
      }
      if (keys.empty() && random() % 4 != 0) keys.emplace_back("a");
      checked.take(owner, std::move(keys));
    }
    INFO("seed ", seed);
    REQUIRE(checked.good());
  }
}

TEST_CASE(
    "write order: a key that is named twice is one place, and databases have keys of their own") {
  WriteOrder order;
  Asked twice, same, elsewhere;
  twice.turn.owner = 1;
  twice.turn.want(0, "k");
  twice.turn.want(0, "k");
  elsewhere.turn.owner = 2;
  elsewhere.turn.want(1, "k");
  same.turn.owner = 3;
  same.turn.want(0, "k");
  CHECK(order.take(twice.turn));
  CHECK(order.take(elsewhere.turn));
  CHECK_FALSE(order.take(same.turn));
  order.leave(twice.turn);
  CHECK(same.told);
  order.leave(twice.turn);  // leaving twice is nothing
  order.leave(same.turn);
  order.leave(elsewhere.turn);
}

TEST_CASE("write order: writes learn that a blocked command stands at their key") {
  WriteOrder order;
  Asked blocked, waiting, meets, misses;
  blocked.turn.want(0, "queue");
  meets.turn.owner = 1;
  meets.turn.want(0, "queue");
  misses.turn.owner = 2;
  misses.turn.want(0, "other");
  waiting.turn.owner = 3;
  waiting.turn.want(0, "queue");
  CHECK(order.take(meets.turn));
  CHECK_FALSE(meets.turn.met_blocked());
  CHECK_FALSE(order.take(waiting.turn));
  order.block(blocked.turn);
  order.leave(meets.turn);
  CHECK(waiting.turn.met_blocked());  // it came while that one waited
  order.leave(waiting.turn);
  CHECK(order.take(misses.turn));
  CHECK_FALSE(misses.turn.met_blocked());
  order.leave(misses.turn);
  order.unblock(blocked.turn);
  CHECK(order.take(meets.turn));
  CHECK_FALSE(meets.turn.met_blocked());
  order.leave(meets.turn);
}

namespace {

// A turn of a thread: waits for its grant.
struct Awaited {
  WriteOrder::Turn turn{[](WriteOrder::Turn& granted) {
    auto& self = *static_cast<Awaited*>(granted.context);
    const std::lock_guard held(self.mutex);
    self.told = true;
    self.changed.notify_one();
  }};
  Awaited() { turn.context = this; }
  std::mutex mutex;
  std::condition_variable changed;
  bool told = false;

  void take(WriteOrder& order) {
    if (order.take(turn)) return;
    std::unique_lock held(mutex);
    changed.wait(held, [this] { return told; });
    told = false;
  }
};

}  // namespace

TEST_CASE("write order: threads never hold a key together, and all of them come to their end") {
  constexpr std::size_t kThreads = 4, kKeys = 5, kTurns = 3000;
  WriteOrder order;
  std::array<std::atomic<int>, kKeys> holders{};
  std::atomic<int> all{0};
  std::atomic<bool> broken{false};
  std::vector<std::thread> threads;
  for (std::size_t owner = 0; owner < kThreads; ++owner) {
    threads.emplace_back([&, owner] {
      std::mt19937 random(static_cast<std::uint32_t>(owner));
      Awaited mine;
      mine.turn.owner = owner;
      for (std::size_t i = 0; i < kTurns; ++i) {
        std::vector<std::size_t> keys;
        for (std::size_t key = 0; key < kKeys; ++key) {
          if (random() % 3 == 0) keys.push_back(key);
        }
        mine.turn.clear();
        mine.turn.sole = keys.empty();
        for (const std::size_t key : keys) mine.turn.want(0, std::to_string(key));
        mine.take(order);
        if (keys.empty() ? all.fetch_add(1000) != 0 : all.fetch_add(1) >= 1000) broken = true;
        for (const std::size_t key : keys) {
          if (holders[key].fetch_add(1) != 0) broken = true;
        }
        for (const std::size_t key : keys) holders[key].fetch_sub(1);
        all.fetch_sub(keys.empty() ? 1000 : 1);
        order.leave(mine.turn);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(broken);
}
