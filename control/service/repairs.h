// Work for the repair worker: ledger entries with the servers that they are about.
//
// An entry is of one pair of servers. While one of the two cannot be reached, nothing of that pair
// is handed out but now and then; other pairs of its migration do not wait for it. A stray, which
// may be of any pair, is handed out for one after the other, and is settled when both sides were
// seen equal at each. Any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "control/ledger/ledger.h"
#include "control/service/keeper.h"
#include "strategies/ports.h"

namespace crossfade {

class Repairs {
 public:
  Repairs(const Keeper& keeper, Ledger& ledger) : keeper_(keeper), ledger_(ledger) {}

  // As RepairDoors has them.
  std::vector<RepairTask> due(std::size_t max);
  void settle(const RepairTask& task, RepairOutcome outcome, const std::string& why);

 private:
  const Keeper& keeper_;
  Ledger& ledger_;
  std::atomic<std::size_t> turn_{0};  // which migration is asked first
  std::mutex mutex_;
  std::map<std::uint64_t, std::chrono::steady_clock::time_point> resting_;  // pairs, until when
};

}  // namespace crossfade
