// The repair worker: a thread that settles what is due in the ledger, at a bounded pace.
//
// It holds one key at a time: it can then never wait for a writer that waits for it. Entries of the
// same pair of servers and the same database come behind one another, on connections that are kept.
#pragma once

#include <cstdint>
#include <mutex>
#include <stop_token>
#include <thread>

#include "movement/redis_repair.h"
#include "strategies/ports.h"

namespace crossfade {

struct RepairCounts {
  std::uint64_t equal = 0;
  std::uint64_t repaired = 0;
  std::uint64_t failed = 0;
  std::uint64_t newer = 0;
  std::uint64_t bytes_copied = 0;  // of dumps
  std::uint64_t big_values = 0;    // beyond RepairLimits::big_value
  std::uint64_t fenced = 0;        // connections that were ended
  std::uint64_t unreachable = 0;   // not tried, as a server could not be reached
};

class RepairWorker {
 public:
  explicit RepairWorker(RepairDoors doors, RepairLimits limits = {});
  ~RepairWorker() { stop(); }
  RepairWorker(const RepairWorker&) = delete;
  RepairWorker& operator=(const RepairWorker&) = delete;

  void start();
  // Returns when the thread has ended: within a second, unless a door, or the system's resolver,
  // takes longer. What was not settled stays due.
  void stop();
  RepairCounts counts() const;

 private:
  void run(const std::stop_token& stop);
  bool work_on(std::vector<RepairTask> tasks, RedisRepair& repair, const std::stop_token& stop);
  Settled settle(const RepairTask& task, RedisRepair& repair);
  void count(const Settled& settled);

  const RepairDoors doors_;
  const RepairLimits limits_;
  mutable std::mutex mutex_;
  RepairCounts counts_;
  std::jthread thread_;
};

}  // namespace crossfade
