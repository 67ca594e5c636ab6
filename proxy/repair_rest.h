// While one of two servers is down nothing can be repaired there, and repair says so: it rests. In
// that time no key leaves the ledger. So a write whose keys are known to be in it, on disk, needs
// neither a turn nor another note: it *relies* on the ledger, and costs what it would without a
// second side.
//
// Repair goes on only when no such write is in flight any more: what it then reads, they have done.
//
// Any thread. A loop counts its own writes in a lane of its own, so that loops do not meet.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace crossfade {

class RepairRest {
 public:
  // Writes of one loop that rely on the ledger and are not over.
  class alignas(64) Lane {
   public:
    // The last of them are over.
    void leave(std::uint64_t writes) { in_flight_.fetch_sub(writes, std::memory_order_seq_cst); }

   private:
    friend class RepairRest;
    std::atomic<std::uint64_t> in_flight_{0};
  };

  // --- loops
  void join(std::shared_ptr<Lane> lane) {
    const std::lock_guard held(mutex_);
    std::erase_if(lanes_, [](const auto& one) { return one.use_count() == 1 && is_free(*one); });
    if (std::find(lanes_.begin(), lanes_.end(), lane) == lanes_.end()) {
      lanes_.push_back(std::move(lane));
    }
  }
  // The number of the rest that is on; 0: none. No number comes again.
  std::uint64_t period() const { return period_.load(std::memory_order_seq_cst); }
  // One more write. False: that rest is over, and nothing may be relied on. A lane that has joined.
  bool enter(Lane& lane, std::uint64_t period) {
    // Either this is seen by end(), or the end is seen here.
    lane.in_flight_.fetch_add(1, std::memory_order_seq_cst);
    if (this->period() == period) return true;
    lane.leave(1);
    return false;
  }

  // --- repair
  void begin() {
    const std::lock_guard held(mutex_);
    if (forbidden_ == 0 && period() == 0) period_.store(++last_, std::memory_order_seq_cst);
  }
  // False: writes that rely on it are still in flight after that time. It has ended all the same.
  bool end(std::chrono::milliseconds limit) {
    std::unique_lock held(mutex_);
    return end_locked(held, limit);
  }

  // --- whoever changes what is right: no rest begins until allow(), as often as forbid() was
  // called
  bool forbid(std::chrono::milliseconds limit) {
    std::unique_lock held(mutex_);
    ++forbidden_;
    return end_locked(held, limit);
  }
  void allow() {
    const std::lock_guard held(mutex_);
    --forbidden_;
  }

 private:
  static bool is_free(const Lane& lane) {
    return lane.in_flight_.load(std::memory_order_seq_cst) == 0;
  }
  bool end_locked(std::unique_lock<std::mutex>& held, std::chrono::milliseconds limit);

  std::mutex mutex_;
  std::condition_variable never_told_;
  std::atomic<std::uint64_t> period_{0};
  std::uint64_t last_ = 0;
  unsigned forbidden_ = 0;
  std::vector<std::shared_ptr<Lane>> lanes_;
};

}  // namespace crossfade
