// Crediting the data plane's counts to migrations.
#include "control/service/new_only_writes.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>
#include <utility>

namespace crossfade {

namespace {

constexpr int kSettleRounds = 25;
constexpr auto kSettlePause = std::chrono::milliseconds(20);

bool responsible_status(MigrationStatus status) {
  return routes(status) || status == MigrationStatus::RollingBack;
}

}  // namespace

Status NewOnlyWrites::restore() {
  auto tallies = file_.tallies();
  if (!tallies) return tallies.error();
  const StatePtr state = keeper_.state();
  const std::lock_guard held(mutex_);
  for (const Tally& tally : *tallies) {
    counts_[{tally.migration, tally.interlay}] = {tally.writes, tally.exact, false};
  }
  for (const auto& [uuid, migration] : state->migrations) {
    if (!responsible_status(migration->status)) continue;
    for (const Binding& binding : migration->bindings) {
      owners_[binding.interlay] = uuid;
      // What is not there could not be saved.
      const auto entry = counts_.try_emplace({uuid, binding.interlay}, Count{.exact = false}).first;
      entry->second.open = true;
    }
  }
  save(false);  // "exactly" is true of a stopped process only
  return success();
}

NewOnlyWrites::Counts NewOnlyWrites::begin(const Migration& migration) {
  (void)credit();
  Counts former;
  const std::lock_guard held(mutex_);
  for (const Binding& binding : migration.bindings) {
    const Key key{migration.identity.uuid, binding.interlay};
    Count& count = counts_[key];
    if (migration.status != MigrationStatus::Failed) former[key] = std::exchange(count, Count{});
    count.open = true;
    owners_[binding.interlay] = migration.identity.uuid;
  }
  // Saved from the start: a crash before the first write is counted must not look like none.
  save(false);
  return former;
}

void NewOnlyWrites::take_back(const Counts& former) {
  (void)credit();
  const std::lock_guard held(mutex_);
  for (const auto& [key, before] : former) {
    Count& count = counts_[key];
    count = {before.writes + count.writes, before.exact, before.open};
  }
  save(false);
}

bool NewOnlyWrites::credit() {
  const Telemetry telemetry = data_plane_.telemetry();
  const StatePtr state = keeper_.state();
  bool changed = false;
  const std::lock_guard held(mutex_);
  for (const InterlayTraffic& traffic : telemetry.interlays) {
    Seen& seen = seen_[traffic.id];
    // Smaller than before: an interlay of the same name was made anew and counts from zero.
    if (traffic.new_only_writes < seen.writes) seen = Seen{};
    const std::uint64_t fresh = traffic.new_only_writes - seen.writes;
    const bool unsure = traffic.new_only_unsure > seen.unsure;
    seen = {traffic.new_only_writes, traffic.new_only_unsure};
    if (fresh == 0) continue;
    const InterlayPtr interlay = find(state->interlays, traffic.id);
    if (interlay == nullptr) continue;
    const auto owner = owners_.find(interlay->identity.uuid);
    if (owner == owners_.end()) continue;
    const auto count = counts_.find({owner->second, interlay->identity.uuid});
    if (count == counts_.end()) continue;  // the migration is deleted
    count->second.writes += fresh;
    if (unsure) count->second.exact = false;
    changed = true;
  }
  return changed;
}

void NewOnlyWrites::sample() {
  if (!credit()) return;
  const std::lock_guard held(mutex_);
  save(false);
}

void NewOnlyWrites::settle(const Migration& migration) {
  (void)credit();
  for (int round = 0; round < kSettleRounds; ++round) {
    std::this_thread::sleep_for(kSettlePause);
    if (!credit()) break;
  }
  const std::lock_guard held(mutex_);
  for (const Binding& binding : migration.bindings) {
    counts_[{migration.identity.uuid, binding.interlay}].open = false;
  }
  save(false);
}

NewOnlyWrites::Count NewOnlyWrites::count(const Migration& migration) const {
  Count sum;
  for (const Binding& binding : migration.bindings) {
    const Count one = count(migration.identity.uuid, binding.interlay);
    sum.writes += one.writes;
    sum.exact = sum.exact && one.exact;
  }
  return sum;
}

NewOnlyWrites::Count NewOnlyWrites::count(const std::string& migration,
                                          const std::string& interlay) const {
  const std::lock_guard held(mutex_);
  const auto found = counts_.find({migration, interlay});
  return found == counts_.end() ? Count{} : found->second;
}

void NewOnlyWrites::save_exactly() {
  (void)credit();
  const std::lock_guard held(mutex_);
  save(true);
}

// Called with the mutex held. While the process runs, the file says "at least": if it is read after
// a crash, that is what it is.
void NewOnlyWrites::save(bool at_stop) {
  const StatePtr state = keeper_.state();
  std::erase_if(counts_,
                [&](const auto& entry) { return !state->migrations.contains(entry.first.first); });
  std::vector<Tally> tallies;
  for (const auto& [key, count] : counts_) {
    tallies.push_back({.migration = key.first,
                       .interlay = key.second,
                       .writes = count.writes,
                       .exact = count.exact && (at_stop || !count.open)});
  }
  if (const Status status = file_.save_tallies(tallies); !status) {
    spdlog::warn("writes on new only could not be saved: {}", status.error().message());
  }
}

}  // namespace crossfade
