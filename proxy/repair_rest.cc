// The end of a rest: waiting for the writes that rely on it.
#include "proxy/repair_rest.h"

namespace crossfade {

namespace {
// Nothing tells when a lane is empty: telling would cost every write more than asking costs repair.
constexpr std::chrono::microseconds kLookAgain{200};
}  // namespace

bool RepairRest::end_locked(std::unique_lock<std::mutex>& held, std::chrono::milliseconds limit) {
  period_.store(0, std::memory_order_seq_cst);
  const auto until = std::chrono::steady_clock::now() + limit;
  const auto all_free = [this] {
    return std::all_of(lanes_.begin(), lanes_.end(),
                       [](const auto& lane) { return is_free(*lane); });
  };
  while (!all_free()) {
    if (std::chrono::steady_clock::now() >= until) return false;
    never_told_.wait_for(held, kLookAgain);
  }
  return true;
}

}  // namespace crossfade
