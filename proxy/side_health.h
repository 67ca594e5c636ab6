// Whether a side is worth trying: after a failure it is left alone for a growing while, then one
// request probes it.
//
// One instance per loop, interlay and side. The clock is handed in. Knows nothing of sockets.
#pragma once

#include <algorithm>
#include <cstdint>

namespace crossfade {

class SideHealth {
 public:
  explicit SideHealth(std::uint64_t backoff_max_ns) : backoff_max_ns_(backoff_max_ns) {}

  bool down() const { return backoff_ns_ != 0; }

  // May something be sent there now? While down: true once per back-off, for the probe.
  bool try_now(std::uint64_t now_ns) {
    if (!down()) return true;
    if (now_ns < retry_at_ns_) return false;
    retry_at_ns_ = now_ns + backoff_ns_;  // the next probe, should this one never be heard of
    return true;
  }
  // It answered: everything may be sent again.
  void succeeded() { backoff_ns_ = 0; }
  // It refused, closed, garbled or did not answer in time. The back-off doubles once per back-off,
  // however many connections report the same failure.
  void failed(std::uint64_t now_ns) {
    if (!down()) {
      backoff_ns_ = kFirstBackoffNs;
    } else if (now_ns >= doubled_at_ns_ + backoff_ns_) {
      backoff_ns_ = std::min(backoff_ns_ * 2, backoff_max_ns_);
    } else {
      return;
    }
    doubled_at_ns_ = now_ns;
    retry_at_ns_ = now_ns + backoff_ns_;
  }

  static constexpr std::uint64_t kFirstBackoffNs = 100'000'000;

 private:
  std::uint64_t backoff_max_ns_;
  std::uint64_t backoff_ns_ = 0;  // 0: up
  std::uint64_t retry_at_ns_ = 0;
  std::uint64_t doubled_at_ns_ = 0;
};

}  // namespace crossfade
