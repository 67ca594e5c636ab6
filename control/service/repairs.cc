// From ledger entries to tasks, and from outcomes back.
#include "control/service/repairs.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "control/endpoint_pair.h"

namespace crossfade {

namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kRest{1'000};  // when a server cannot be reached

// Where an entry is to be settled: two endpoints of one server count once for each of its
// databases.
struct Place {
  std::uint64_t pair;
  const EndpointAddress* old_side;
  const EndpointAddress* new_side;
};

bool same_keys(const Place& one, const Place& other) {
  return one.pair == other.pair && one.old_side->db == other.old_side->db &&
         one.new_side->db == other.new_side->db;
}

std::vector<Place> places_of(const State& state, const Migration& migration) {
  std::vector<Place> places;
  for (const Binding& binding : migration.bindings) {
    const EndpointPair sides = sides_of(state, binding);
    const Place place{pair_of(sides), &sides[0]->address, &sides[1]->address};
    const auto same = [&](const Place& one) { return same_keys(one, place); };
    if (std::ranges::none_of(places, same)) places.push_back(place);
  }
  return places;
}

// Of a pair that is none of the migration's any more: all, as it may be of any.
std::vector<Place> places_of(std::vector<Place> all, std::uint64_t pair) {
  std::vector<Place> own;
  std::ranges::copy_if(all, std::back_inserter(own),
                       [&](const Place& one) { return one.pair == pair; });
  return own.empty() ? all : own;
}

RepairTask task_of(const std::vector<Place>& all, const Migration& migration, LedgerEntry entry) {
  const std::vector<Place> own = places_of(all, entry.at.pair);
  const Place& place = own[entry.place % own.size()];
  return {.migration = migration.identity.id,
          .at = std::move(entry.at),
          .doubt = entry.doubt,
          .right = entry.right,
          .version = entry.version,
          .attempts = entry.attempts,
          .old_side = *place.old_side,
          .new_side = *place.new_side};
}

}  // namespace

std::vector<RepairTask> Repairs::due(std::size_t max) {
  const StatePtr state = keeper_.state();
  std::vector<MigrationPtr> migrations;
  for (const auto& [uuid, migration] : state->migrations) {
    if (writes_both_by(*migration, Engine::Effect) && !migration->bindings.empty()) {
      migrations.push_back(migration);
    }
  }
  std::set<std::uint64_t> all_resting;
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(resting_,
                  [now = steady_clock::now()](const auto& one) { return one.second <= now; });
    for (const auto& [pair, until] : resting_) all_resting.insert(pair);
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
    const std::vector<Place> places = places_of(*state, *migration);
    std::set<std::uint64_t> resting;
    for (const Place& place : places) {
      if (all_resting.contains(place.pair)) resting.insert(place.pair);
    }
    for (LedgerEntry& entry : ledger_.due(migration->identity.uuid, share, resting)) {
      tasks.push_back(task_of(places, *migration, std::move(entry)));
    }
  }
  return tasks;
}

void Repairs::settle(const RepairTask& task, RepairOutcome outcome, const std::string& why) {
  const StatePtr state = keeper_.state();
  const MigrationPtr migration = find(state->migrations, task.migration);
  if (migration == nullptr) return;
  if (outcome == RepairOutcome::Unreachable) {
    const std::lock_guard lock(mutex_);
    resting_[pair_of(task.old_side, task.new_side)] = steady_clock::now() + kRest;
  }
  const auto places = places_of(places_of(*state, *migration), task.at.pair).size();
  ledger_.settle(task.migration, task.at, task.version, outcome, why,
                 static_cast<std::uint32_t>(places));
}

}  // namespace crossfade
