// Leases among the threads of one process, by a clock that is handed in. They end with the process:
// who has its file next has them all.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "control/clock.h"
#include "control/store/store.h"

namespace crossfade {

class Leases {
 public:
  explicit Leases(MonotonicClock clock) : clock_(std::move(clock)) {}

  // As Store::lease(). The lease must not outlive this.
  Result<std::unique_ptr<Lease>> take(const std::string& name, std::chrono::milliseconds ttl);

 private:
  class Taken;
  struct Holding {
    std::uint64_t number;  // of the lease
    std::int64_t until_ms;
  };
  bool holds(const std::string& name, std::uint64_t number) const;  // with the mutex held

  const MonotonicClock clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Holding> held_;  // by name; what has expired may still be here
  std::uint64_t last_ = 0;
};

}  // namespace crossfade
