// Telling changes in order.
#include "control/store/watches.h"

#include <string>
#include <utility>

namespace crossfade {

class Watches::Watching final : public Watch {
 public:
  Watching(Watches& all, std::uint64_t number) : all_(all), number_(number) {}
  ~Watching() override {
    const std::lock_guard held(all_.mutex_);
    all_.watchers_.erase(number_);
  }
  Watching(const Watching&) = delete;
  Watching& operator=(const Watching&) = delete;

 private:
  Watches& all_;
  const std::uint64_t number_;
};

void Watches::tell(Revision revision, const Changes& changes) {
  revision_ = revision;
  kept_.push_back({revision, changes});
  if (kept_.size() > kKept) kept_.pop_front();
  for (const auto& [number, watcher] : watchers_) watcher(revision, changes);
}

Result<std::unique_ptr<Watch>> Watches::watch(Revision after, Store::Watcher watcher) {
  const std::lock_guard held(mutex_);
  if (after > revision_ || revision_ - after > kept_.size()) {
    return Error{Errc::NotFound, "watch the store from revision " + std::to_string(after),
                 "it is at " + std::to_string(revision_) + ", and the last " +
                     std::to_string(kept_.size()) + " changes are kept"};
  }
  for (const Made& made : kept_) {
    if (made.revision > after) watcher(made.revision, made.changes);
  }
  watchers_.emplace(++last_, std::move(watcher));
  return std::unique_ptr<Watch>(std::make_unique<Watching>(*this, last_));
}

}  // namespace crossfade
