// Leave for repair to write a copy to a side: only while the migration writes to both.
//
// A write to one side takes no turn, so nothing would keep a copy from overwriting it. Who
// publishes a table therefore first takes leave away from the migrations that it ends, and waits
// for copies that are being written to a side which will be the only one for somebody. Any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>

#include "strategies/plan.h"

namespace crossfade {

class CopyLeave {
 public:
  using Migrations = std::set<std::string>;     // by id
  using Target = std::pair<std::string, Side>;  // migration, and the side that is written to

  // Null: not now. A copy may be written for as long as it lives.
  std::shared_ptr<void> take(const std::string& migration, Side side);

  // From here on only those have leave that have it now and are among `next`. False: copies to
  // `alone` were still being written after that time; then everything is as it was before.
  bool narrow(const Migrations& next, const std::set<Target>& alone,
              std::chrono::milliseconds limit);
  void widen(Migrations next);

 private:
  std::mutex mutex_;
  std::condition_variable over_;
  Migrations allowed_;
  std::map<Target, unsigned> writing_;
};

}  // namespace crossfade
