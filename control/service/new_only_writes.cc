// Crediting the data plane's counts to migrations.
#include "control/service/new_only_writes.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <thread>

namespace crossfade {

namespace {

constexpr int kSettleRounds = 25;
constexpr auto kSettlePause = std::chrono::milliseconds(20);

bool responsible_status(MigrationStatus status) {
  return routes(status) || status == MigrationStatus::RollingBack;
}

// The migration that an interlay's new-only writes belong to: the one in force, or just taken back.
const Migration* responsible(const State& state, const std::string& interlay) {
  const MigrationPtr migration = migration_of(state, interlay);
  if (migration == nullptr || !responsible_status(migration->status)) return nullptr;
  return migration.get();  // the state keeps it alive
}

}  // namespace

void NewOnlyWrites::restore(const std::vector<Tally>& tallies) {
  const StatePtr state = keeper_.state();
  const std::lock_guard held(mutex_);
  for (const Tally& tally : tallies) {
    const auto migration = state->migrations.find(tally.migration);
    const bool open =
        migration != state->migrations.end() && responsible_status(migration->second->status);
    counts_[{tally.migration, tally.interlay}] = {tally.writes, tally.exact, open};
  }
  save(false);  // "exactly" is true of a stopped process only
}

void NewOnlyWrites::begin(const Migration& migration) {
  (void)credit();
  const std::lock_guard held(mutex_);
  for (const Binding& binding : migration.bindings) {
    Count& count = counts_[{migration.identity.uuid, binding.interlay}];
    if (migration.status != MigrationStatus::Failed) count = Count{};
    count.open = true;
  }
  // Saved from the start: a crash before the first write is counted must not look like none.
  save(false);
}

bool NewOnlyWrites::credit() {
  const Telemetry telemetry = data_plane_.telemetry();
  const StatePtr state = keeper_.state();
  bool changed = false;
  const std::lock_guard held(mutex_);
  for (const InterlayTraffic& traffic : telemetry.interlays) {
    std::uint64_t& seen = seen_[traffic.id];
    // Smaller than before: an interlay of the same name was made anew and counts from zero.
    const std::uint64_t fresh =
        traffic.new_only_writes < seen ? traffic.new_only_writes : traffic.new_only_writes - seen;
    seen = traffic.new_only_writes;
    if (fresh == 0) continue;
    const InterlayPtr interlay = find(state->interlays, traffic.id);
    if (interlay == nullptr) continue;
    const Migration* migration = responsible(*state, interlay->identity.uuid);
    if (migration == nullptr) continue;
    counts_[{migration->identity.uuid, interlay->identity.uuid}].writes += fresh;
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
  if (const Status status = store_.save_tallies(tallies); !status) {
    spdlog::warn("writes on new only could not be saved: {}", status.error().message());
  }
}

}  // namespace crossfade
