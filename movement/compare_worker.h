// Judges replies that differed by their meaning, beside the request path.
//
// A pair is judged as soon as it is its turn. One that differs in meaning and is not made by chance
// waits for compare_pause_ms and is then looked at again, once. What waits is bounded; beyond
// that pairs are counted and dropped. What was waiting when the worker stops counts as Unsure.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "movement/mismatch_samples.h"
#include "movement/reply_meaning.h"
#include "movement/second_look.h"
#include "movement/sql_look.h"
#include "strategies/ports.h"

namespace crossfade {

class CompareWorker {
 public:
  explicit CompareWorker(const CompareSettings& settings);
  ~CompareWorker();  // stops
  CompareWorker(const CompareWorker&) = delete;
  CompareWorker& operator=(const CompareWorker&) = delete;

  void start();
  // An answer that is awaited is given up. It cannot be started again.
  void stop();

  // Any thread; never waits for a server. `mismatch.route` is set.
  //   cost  one short lock; the pair is moved
  void offer(Mismatch mismatch);

  // Any thread.
  std::vector<MismatchSample> samples(const std::string& migration) const;
  MismatchCounts counts(const std::string& interlay) const;

  // Waits until everything offered so far is settled; false when that takes longer.
  bool wait_settled(std::chrono::milliseconds limit) const;

  CompareDoor door() {
    return {.offer = [this](Mismatch mismatch) { offer(std::move(mismatch)); }};
  }
  MismatchDoor results() const {
    return {.samples = [this](const std::string& migration) { return samples(migration); },
            .counts = [this](const std::string& interlay) { return counts(interlay); }};
  }

 private:
  using Clock = std::chrono::steady_clock;
  struct Waiting {
    Mismatch mismatch;
    Clock::time_point due;
  };

  void run();
  void take_fresh(std::unique_lock<std::mutex>& lock);
  void take_due(std::unique_lock<std::mutex>& lock);
  void settle(std::unique_lock<std::mutex>& lock, Mismatch mismatch, MismatchClass what);
  void give_up_all(std::unique_lock<std::mutex>& lock);
  std::size_t held() const { return fresh_.size() + again_.size() + in_hand_; }

  const CompareSettings settings_;
  const std::uint64_t seed_;  // of the hashes in samples
  std::stop_source stop_;
  SecondLook second_look_;  // the thread's alone
  SqlLook sql_look_;        // likewise
  std::thread thread_;

  mutable std::mutex mutex_;  // all below
  mutable std::condition_variable changed_;
  std::deque<Mismatch> fresh_;
  std::deque<Waiting> again_;  // in the order of `due`
  std::size_t in_hand_ = 0;
  bool stopping_ = false;
  std::map<std::string, MismatchCounts> counts_;  // by interlay
  MismatchSamples samples_;
};

}  // namespace crossfade
