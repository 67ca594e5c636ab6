// The counters of one interlay on one loop: written by that loop's thread only, read by anybody.
//
// Relaxed atomics with a single writer: an increment is a load, an add and a store, never a locked
// instruction. strategies/telemetry.h gives the meaning of each.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>
#include <memory>
#include <vector>

#include "strategies/telemetry.h"

namespace crossfade {

class Counter {
 public:
  void add(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void sub(std::uint64_t n = 1) {
    value_.store(value_.load(std::memory_order_relaxed) - n, std::memory_order_relaxed);
  }
  void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
  std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class LatencyCounter {
 public:
  // Counts `times` samples of `ns` each. Cost: a few instructions, no division.
  void record(std::uint64_t ns, std::uint64_t times = 1) {
    buckets_[bucket_of_ns(ns)].add(times);
    sum_ns_.add(ns * times);
  }
  void add_to(Histogram& out) const {
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      const std::uint64_t n = buckets_[i].get();
      out.counts[i] += n;
      out.total += n;
    }
    out.sum_ns += sum_ns_.get();
  }
  // Index of the first bucket whose bound is above `ns`; the last one takes the rest.
  static std::size_t bucket_of_ns(std::uint64_t ns) {
    if (ns < 1024) return 0;
    const auto power = static_cast<std::size_t>(std::bit_width(ns)) - 11;  // 1024 -> 0
    const std::size_t quarter = (ns >> (power + 8)) & 3;
    const std::size_t i = power * 4 + quarter + 1;
    return i < Histogram::kBuckets ? i : Histogram::kBuckets - 1;
  }

 private:
  std::array<Counter, Histogram::kBuckets> buckets_;
  Counter sum_ns_;
};

struct SecondCounters {
  Counter eligible, answered, errors, mismatched, uncompared;
  std::array<Counter, kDrops> dropped;

  void drop(Drop why, std::uint64_t n = 1) { dropped[static_cast<std::size_t>(why)].add(n); }
};

// Requests of one api, by answering side; as long as a table of its interlay goes by it.
struct ApiCounter {
  std::array<Counter, kSides> requests;
};
using ApiCounters = std::vector<std::shared_ptr<ApiCounter>>;  // by the numbers of ApiNames

struct InterlayCounters {
  std::array<std::array<Counter, kKinds>, kSides> requests;
  std::array<Counter, kSides> errors;
  std::array<Counter, kSides> failures;
  std::array<LatencyCounter, kSides> leg;
  LatencyCounter proxy;
  std::array<SecondCounters, 2> second;  // [0] copies, [1] dual writes
  Counter order_waits, suspect_reads, suspected;
  Counter fallbacks_unsent, fallbacks_unanswered;
  std::array<Counter, kSides> unreached;
  Counter fallbacks, new_only_writes, new_only_unsure, refused_split, refused_foreign,
      refused_moved, protocol_errors;
  std::array<Counter, kSides> late_writes;
  std::array<Counter, kLimits> limits;
  Counter client_in, client_out, server_in, server_out;
  Counter sessions_open, sessions_total, sessions_ended, one_sided;
  Counter tls_sessions_open;
  std::array<std::array<Counter, kHandshakes>, kPeers> handshakes;
  std::array<Counter, kLoginsRefused> logins_refused;
  std::array<Counter, kSqlTexts> sql_texts;
  std::array<Counter, kStays> staying;
  std::array<Counter, kSides> down;

  void ended(Handshake result, Peer peer) {
    handshakes[static_cast<std::size_t>(peer)][static_cast<std::size_t>(result)].add();
  }
  void refused(LoginRefused why) { logins_refused[static_cast<std::size_t>(why)].add(); }
  void hit(Limit limit) { limits[static_cast<std::size_t>(limit)].add(); }
  void add_to(InterlayTraffic& out) const;
};

}  // namespace crossfade
