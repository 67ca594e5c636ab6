// Rung by the data plane when definitions have changed through an interlay: its catalog is to be
// read again soon. Any thread; ringing waits for nobody.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace crossfade {

class CatalogBell {
 public:
  void ring(const std::string& interlay) {
    {
      const std::lock_guard held(mutex_);
      if (!rung_.insert(interlay).second) return;
    }
    wake_.notify_all();
  }

  // Nobody waits any more.
  void end() {
    {
      const std::lock_guard held(mutex_);
      ended_ = true;
    }
    wake_.notify_all();
  }

  // Until it is rung, or that time has come, or the end. False: it is the end.
  bool wait_until(std::chrono::steady_clock::time_point time) {
    std::unique_lock held(mutex_);
    wake_.wait_until(held, time, [this] { return ended_ || !rung_.empty(); });
    return !ended_;
  }

  // Whatever is rung meanwhile. False: it is the end.
  bool rest(std::chrono::milliseconds time) {
    std::unique_lock held(mutex_);
    return !wake_.wait_for(held, time, [this] { return ended_; });
  }

  // The ids of interlays for which it was rung since the last call.
  std::set<std::string> take() {
    const std::lock_guard held(mutex_);
    return std::exchange(rung_, {});
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::set<std::string> rung_;
  bool ended_ = false;
};

}  // namespace crossfade
