// Taking and giving leave.
#include "proxy/copy_leave.h"

#include <algorithm>
#include <utility>

namespace crossfade {

std::shared_ptr<void> CopyLeave::take(const std::string& migration, Side side) {
  const std::lock_guard held(mutex_);
  if (!allowed_.contains(migration)) return nullptr;
  const Target target(migration, side);
  ++writing_[target];
  return {this, [this, target](void*) {
            const std::lock_guard held_again(mutex_);
            if (--writing_[target] == 0) writing_.erase(target);
            over_.notify_all();
          }};
}

bool CopyLeave::narrow(const Migrations& next, const std::set<Target>& alone,
                       std::chrono::milliseconds limit) {
  std::unique_lock held(mutex_);
  Migrations before = allowed_;
  std::erase_if(allowed_, [&](const std::string& one) { return !next.contains(one); });
  const auto ended = [&] {
    return std::none_of(writing_.begin(), writing_.end(),
                        [&](const auto& one) { return alone.contains(one.first); });
  };
  if (over_.wait_for(held, limit, ended)) return true;
  allowed_ = std::move(before);
  return false;
}

void CopyLeave::widen(Migrations next) {
  const std::lock_guard held(mutex_);
  allowed_ = std::move(next);
}

}  // namespace crossfade
