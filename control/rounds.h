// A thread that works in rounds, with a pause behind each one, until it is ended.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace crossfade {

// The last member of its owner: its thread uses the others, and has ended before they go.
class Rounds {
 public:
  Rounds() = default;
  ~Rounds() { stop(); }
  Rounds(const Rounds&) = delete;
  Rounds& operator=(const Rounds&) = delete;

  // The first round begins at once. Called once.
  void start(std::chrono::milliseconds pause, std::function<void()> round);

  // Waits for the round that is under way; no pause is waited for. From then on there is none.
  //   returns  it was going on until now
  bool stop();

 private:
  bool rest(std::chrono::milliseconds pause);  // false: it is the end

  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace crossfade
