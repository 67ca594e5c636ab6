// The thread, its pace and its counts.
#include "movement/repair_worker.h"

#include <algorithm>
#include <exception>
#include <tuple>
#include <utility>

#include "movement/dial.h"

namespace crossfade {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::steady_clock;

// How long to rest after an entry, so that neither the pace nor the share of time in which a key is
// held is exceeded.
nanoseconds pause_after(const Settled& settled, nanoseconds took, const RepairLimits& limits) {
  const auto pace = nanoseconds(std::chrono::seconds(1)) / std::max(limits.rate_max, 1u);
  const auto held = nanoseconds(microseconds(settled.held_us));
  const auto share = std::clamp(limits.turn_share_max, 1u, 100u);
  return std::max(pace - took, held * (100 - share) / share);
}

}  // namespace

RepairWorker::RepairWorker(RepairDoors doors, RepairLimits limits)
    : doors_(std::move(doors)), limits_(limits) {}

void RepairWorker::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void RepairWorker::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

RepairCounts RepairWorker::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void RepairWorker::run(const std::stop_token& stop) {
  RedisRepair repair(doors_, limits_, stop);
  while (!stop.stop_requested()) {
    bool progress = false;
    try {
      std::vector<RepairTask> due = doors_.due(limits_.batch_max);
      if (due.empty()) repair.hang_up();
      progress = work_on(std::move(due), repair, stop);
    } catch (const std::exception&) {  // no memory: what was not settled is due again
    }
    if (!progress) rest(milliseconds(limits_.poll_ms), stop);
  }
}

// True: an entry left the ledger, as far as this can tell.
bool RepairWorker::work_on(std::vector<RepairTask> tasks, RedisRepair& repair,
                           const std::stop_token& stop) {
  std::stable_sort(tasks.begin(), tasks.end(), [](const RepairTask& one, const RepairTask& other) {
    return std::tie(one.old_side.id, one.new_side.id, one.at.db) <
           std::tie(other.old_side.id, other.new_side.id, other.at.db);
  });
  bool progress = false;
  const RepairTask* unreachable = nullptr;  // the first of its pair; the others are next to it
  for (const RepairTask& task : tasks) {
    if (stop.stop_requested()) break;
    if (unreachable != nullptr && task.old_side.id == unreachable->old_side.id &&
        task.new_side.id == unreachable->new_side.id) {
      Settled skipped;
      skipped.outcome = RepairOutcome::Unreachable;
      count(skipped);
      doors_.settle(task, skipped.outcome, skipped.why);
      continue;
    }
    const auto began = steady_clock::now();
    const Settled settled = settle(task, repair);
    const bool settled_it =
        settled.outcome == RepairOutcome::Equal || settled.outcome == RepairOutcome::Repaired;
    if (stop.stop_requested() && !settled_it) break;  // it was not tried to the end
    count(settled);
    doors_.settle(task, settled.outcome, settled.why);
    unreachable = settled.outcome == RepairOutcome::Unreachable ? &task : nullptr;
    progress = progress || settled_it;
    rest(pause_after(settled, steady_clock::now() - began, limits_), stop);
  }
  return progress;
}

Settled RepairWorker::settle(const RepairTask& task, RedisRepair& repair) {
  try {
    return repair.settle(task);
  } catch (const std::exception& error) {
    Settled failed;
    failed.why = error.what();
    return failed;
  }
}

void RepairWorker::count(const Settled& settled) {
  const std::lock_guard lock(mutex_);
  switch (settled.outcome) {
    case RepairOutcome::Equal:
      ++counts_.equal;
      break;
    case RepairOutcome::Repaired:
      ++counts_.repaired;
      break;
    case RepairOutcome::Failed:
      ++counts_.failed;
      break;
    case RepairOutcome::Unreachable:
      ++counts_.unreachable;
      break;
    case RepairOutcome::Newer:
      ++counts_.newer;
      break;
  }
  counts_.bytes_copied += settled.bytes_copied;
  counts_.big_values += settled.big ? 1 : 0;
  counts_.fenced += settled.fenced;
}

}  // namespace crossfade
