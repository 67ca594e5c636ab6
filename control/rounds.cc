// The loop of a background thread.
#include "control/rounds.h"

#include <cassert>
#include <utility>

#include "control/background.h"

namespace crossfade {

void Rounds::start(std::chrono::milliseconds pause, std::function<void()> round) {
  assert(!thread_.joinable());
  thread_ = std::thread([this, pause, round = std::move(round)] {
    give_way();
    do {
      round();
    } while (rest(pause));
  });
}

bool Rounds::stop() {
  {
    const std::lock_guard held(mutex_);
    ending_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) return false;
  thread_.join();
  return true;
}

bool Rounds::rest(std::chrono::milliseconds pause) {
  std::unique_lock held(mutex_);
  return !wake_.wait_for(held, pause, [this] { return ending_; });
}

}  // namespace crossfade
