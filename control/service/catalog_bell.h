// Rung by the data plane when definitions have changed through an interlay: its catalog is to be
// read again soon, and until then it is known what is not to be believed of it. Any thread; ringing
// waits for nobody.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "protocols/postgres/redefined.h"

namespace crossfade {

class CatalogBell {
 public:
  // Where nobody says that anything was changed (code has run that may have, unseen) the catalog
  // is not read sooner than this after it was last.
  static constexpr std::chrono::milliseconds kUnhurried{1'000};

  void ring(const std::string& interlay, const postgres::Redefined& what = {}) {
    {
      const std::lock_guard held(mutex_);
      if (what.any()) note(unread_[interlay], what);
      if (!(what.any() ? rung_ : later_).insert(interlay).second) return;
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
    const auto due = [&] { return later_.empty() ? time : std::min(time, unhurried_at_); };
    while (!ended_ && rung_.empty() && std::chrono::steady_clock::now() < due()) {
      wake_.wait_until(held, due());
    }
    return !ended_;
  }

  // Whatever is rung meanwhile. False: it is the end.
  bool rest(std::chrono::milliseconds time) {
    std::unique_lock held(mutex_);
    return !wake_.wait_for(held, time, [this] { return ended_; });
  }

  // Who is not in a hurry waits so much longer.
  void spare(std::chrono::steady_clock::duration time) {
    const std::lock_guard held(mutex_);
    unhurried_at_ = std::max(unhurried_at_, std::chrono::steady_clock::now() + time);
  }

  // The ids of interlays for which it was rung since the last call, and is due.
  std::set<std::string> take() {
    const std::lock_guard held(mutex_);
    const auto now = std::chrono::steady_clock::now();
    if (now >= unhurried_at_) rung_.merge(std::exchange(later_, {}));
    if (rung_.empty()) return {};
    unhurried_at_ = now + kUnhurried;
    for (const std::string& interlay : rung_) {
      later_.erase(interlay);
      const auto found = unread_.find(interlay);
      if (found == unread_.end()) continue;
      found->second.reading.add(std::exchange(found->second.waiting, {}));
    }
    return std::exchange(rung_, {});
  }

  // Its catalog in force is one that was asked for after the last take().
  void read(const std::string& interlay) {
    const std::lock_guard held(mutex_);
    const auto found = unread_.find(interlay);
    if (found == unread_.end()) return;
    found->second.reading = {};
    if (found->second.waiting.any()) {
      show(found->second);
    } else {
      unread_.erase(found);
    }
    unread_count_ = unread_.size();
  }

  // What was changed there and is not read yet; null: nothing.
  //   cost   while that is so everywhere, next to nothing
  std::shared_ptr<const postgres::Redefined> unread(const std::string& interlay) const {
    if (unread_count_ == 0) return nullptr;
    const std::lock_guard held(mutex_);
    const auto found = unread_.find(interlay);
    return found == unread_.end() ? nullptr : found->second.all;
  }

 private:
  struct Unread {
    postgres::Redefined waiting;  // for a question
    postgres::Redefined reading;  // asked about
    std::shared_ptr<const postgres::Redefined> all;
  };

  void note(Unread& unread, const postgres::Redefined& what) {
    unread.waiting.add(what);
    show(unread);
    unread_count_ = unread_.size();
  }
  static void show(Unread& unread) {
    auto all = std::make_shared<postgres::Redefined>(unread.reading);
    all->add(unread.waiting);
    unread.all = std::move(all);
  }

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::set<std::string> rung_;
  std::set<std::string> later_;  // likewise, unhurried
  std::chrono::steady_clock::time_point unhurried_at_{};
  std::map<std::string, Unread> unread_;  // by interlay
  std::atomic<std::size_t> unread_count_ = 0;
  bool ended_ = false;
};

}  // namespace crossfade
