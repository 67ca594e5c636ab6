// Who is told of changes, among the threads of one process, and the last changes, for those who
// begin to watch a little late.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>

#include "control/store/store.h"

namespace crossfade {

class Watches {
 public:
  static constexpr std::size_t kKept = 16;  // changes

  // `revision` is the first that is watched from.
  explicit Watches(Revision revision) : revision_(revision) {}

  // Makes a change, and tells it: changes are told in the order in which they are made.
  //   make   returns the revision that it led to, or an error, which is told to nobody
  template <class Make>
  Result<Revision> change(const Changes& changes, Make&& make) {
    const std::lock_guard held(mutex_);
    Result<Revision> made = make();
    if (made) tell(*made, changes);
    return made;
  }

  // As Store::watch(). The watch must not outlive this.
  Result<std::unique_ptr<Watch>> watch(Revision after, Store::Watcher watcher);

 private:
  class Watching;
  struct Made {
    Revision revision;
    Changes changes;
  };
  void tell(Revision revision, const Changes& changes);

  std::mutex mutex_;
  Revision revision_;      // the last one
  std::deque<Made> kept_;  // oldest first, each the next one of the one before, up to revision_
  std::map<std::uint64_t, Store::Watcher> watchers_;
  std::uint64_t last_ = 0;
};

}  // namespace crossfade
