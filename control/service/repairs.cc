// From ledger entries to tasks, and from outcomes back.
#include "control/service/repairs.h"

#include <algorithm>

namespace crossfade {

namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRest{1'000};  // when a server cannot be reached

RepairTask task_of(const State& state, const Migration& migration, LedgerEntry entry) {
  const Binding& binding = migration.bindings[entry.place % migration.bindings.size()];
  const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
  return {.migration = migration.identity.id,
          .at = std::move(entry.at),
          .doubt = entry.doubt,
          .right = entry.right,
          .version = entry.version,
          .attempts = entry.attempts,
          .old_side = state.endpoints.at(interlay.endpoint)->address,
          .new_side = state.endpoints.at(binding.endpoint)->address};
}

}  // namespace

std::vector<RepairTask> Repairs::due(std::size_t max) {
  const StatePtr state = keeper_.state();
  std::vector<MigrationPtr> migrations;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(resting_,
                  [now = steady_clock::now()](const auto& one) { return one.second <= now; });
    for (const auto& [uuid, migration] : state->migrations) {
      if (writes_both_by(*migration, Engine::Effect) && !resting_.contains(uuid)) {
        migrations.push_back(migration);
      }
    }
  }
  std::vector<RepairTask> tasks;
  if (migrations.empty()) return tasks;
  // Each has its share, and another one is first the next time: none waits for the end of another.
  std::rotate(migrations.begin(),
              migrations.begin() + static_cast<std::ptrdiff_t>(turn_++ % migrations.size()),
              migrations.end());
  for (std::size_t left = migrations.size(); const MigrationPtr& migration : migrations) {
    const std::size_t share = (max - tasks.size() + left - 1) / left;
    --left;
    for (LedgerEntry& entry : ledger_.due(migration->identity.uuid, share)) {
      tasks.push_back(task_of(*state, *migration, std::move(entry)));
    }
  }
  return tasks;
}

void Repairs::settle(const RepairTask& task, RepairOutcome outcome, const std::string& why) {
  const MigrationPtr migration = find(keeper_.state()->migrations, task.migration);
  if (migration == nullptr) return;
  if (outcome == RepairOutcome::Unreachable) {
    const std::lock_guard lock(mutex_);
    resting_[migration->identity.uuid] = steady_clock::now() + kRest;
  }
  ledger_.settle(task.migration, task.at, task.version, outcome, why,
                 static_cast<std::uint32_t>(migration->bindings.size()));
}

}  // namespace crossfade
