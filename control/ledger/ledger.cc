// Doors, life and views of the ledger: everything that does not touch the disk.
#include "control/ledger/ledger.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <future>

#include "control/ledger/reasons.h"
#include "strategies/untold.h"

namespace crossfade {

namespace {

constexpr std::size_t kReasonsMax = 32;  // of one migration; what comes later adds nothing to do
constexpr std::int64_t kRetryFirst_ms = 100;
constexpr std::int64_t kRetryMost_ms = 30'000;
constexpr std::uint32_t kRetryDoublings = 9;  // more would be beyond the most

constexpr const char* kCrash =
    "the sidecar ended without a clean shutdown while it was writing to both sides";
constexpr const char* kStartedAgain =
    "' was started again, or another server answers in its place: what it had not kept is missing";
constexpr const char* kMoved =
    "' was given another address: what was written at the former one may be missing there";
constexpr const char* kTookOver =
    "' took another server's data for its own: what it had not got from there is missing";
constexpr const char* kEvicted =
    "' evicted keys by itself, to stay within its maxmemory: the other side has them still";
constexpr const char* kApart =
    "it began to write to both sides again: in between, writes went to one of them only";
constexpr const char* kTurned =
    "a key of the ledger had writes that one side alone has, and then such of the other side: it "
    "is "
    "copied from that one, and the former are gone";
constexpr const char* kNoLedger =
    "it was writing to both sides before, and there is no ledger of that time";

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string endpoint_of(Side side, const std::string& id, const char* what) {
  return side_lost(side) + id + what;
}

// Most of what was written for a while may be missing at a side, or nobody knows what; by the other
// reasons it is a few keys, and then reads stay where the strategy wants them.
bool is_behind(const LedgerReason& reason) {
  return reason.text == kApart || reason.text == kAlone || reason.text == kBackUnstored ||
         reason.text == kTablesUntold || reason.text.starts_with(kByForce) ||
         reason.text.ends_with(kStartedAgain) || reason.text.ends_with(kMoved) ||
         reason.text.ends_with(kTookOver);
}

std::int64_t steady_now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

Ledger::Ledger(LedgerOptions options)
    : options_(std::move(options)),
      size_(std::make_shared<std::atomic<std::uint64_t>>(0)),
      doubtful_(std::make_shared<std::atomic<std::uint64_t>>(0)),
      steady_ms_(options_.steady_ms ? options_.steady_ms : steady_now_ms),
      dice_(std::random_device{}()) {}

Ledger::~Ledger() { stop(End::Unclean); }

Ledger::HeldPtr Ledger::find_id(std::string_view migration) const {
  const auto found = by_id_.find(migration);
  return found == by_id_.end() ? nullptr : found->second;
}

Ledger::HeldPtr Ledger::find_uuid(const std::string& uuid) const {
  const auto found = by_uuid_.find(uuid);
  return found == by_uuid_.end() ? nullptr : found->second;
}

Ledger::HeldPtr Ledger::enlist(const Name& migration) {
  if (HeldPtr held = find_uuid(migration.uuid)) return held;
  auto held = std::make_shared<Held>();
  held->id = migration.id;
  held->head.uuid = migration.uuid;
  held->head.number = next_number_++;
  by_uuid_[migration.uuid] = held;
  by_id_[migration.id] = held;
  return held;
}

void Ledger::change(const HeldPtr& held, std::uint64_t seq) {
  work_.changes.push_back({held, seq});
  ++changes_noted_;
}

void Ledger::change_head(const HeldPtr& held) {
  if (std::exchange(held->head_waits, true)) return;
  work_.heads.push_back(held);
}

// Returns whether that is on disk already.
bool Ledger::doubt_all(const HeldPtr& held, const std::string& why) {
  ++held->doubts;
  std::vector<LedgerReason>& reasons = held->head.reasons;
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    if (reasons[i].text == why) return i < held->reasons_on_disk;
  }
  if (reasons.size() == kReasonsMax) return held->reasons_on_disk > 0;
  spdlog::warn("migration {}: needs full verification: {}", held->id, why);
  if (reasons.empty()) doubtful_->fetch_add(1, std::memory_order_relaxed);
  reasons.push_back({now_ms(), why});
  change_head(held);
  return false;
}

// Takes the lock over: who waits may be told at once, and then without it.
bool Ledger::wait_for_commit(std::unique_lock<std::mutex> lock, const HeldPtr& held,
                             Durable durable) {
  const bool running = running_;
  if (running) work_.waiters.push_back({held, changes_noted_, std::move(durable)});
  lock.unlock();
  if (running) {
    wake_.notify_one();
  } else if (durable) {
    durable(false);
  }
  return false;
}

bool Ledger::note(const std::string& migration, const std::vector<Suspect>& suspects,
                  Durable durable) {
  const std::int64_t now = now_ms();
  std::unique_lock lock(mutex_);
  const HeldPtr held = find_id(migration);
  if (held == nullptr) return true;  // deleted, while its last requests were answered
  bool known = true;
  for (const Suspect& suspect : suspects) {
    const Book::Noted noted = held->books.note(suspect, now, ++version_, options_.limits);
    if (noted.added) size_->fetch_add(1, std::memory_order_relaxed);
    if (noted.write != 0) change(held, noted.write);
    if (noted.turned) (void)doubt_all(held, kTurned);
    const bool there = noted.full == nullptr ? noted.durable : doubt_all(held, noted.full);
    known = known && there;
  }
  if (known) return true;
  return wait_for_commit(std::move(lock), held, std::move(durable));
}

bool Ledger::renote(const std::string& migration, std::uint64_t pair, std::int32_t db,
                    std::string_view key, Doubt doubt, Side right) {
  const std::int64_t now = now_ms();
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(migration);
  return found != by_id_.end() &&
         found->second->books.renote(pair, db, key, doubt, right, now, ++version_);
}

bool Ledger::note_all(const std::string& migration, const std::string& why, Durable durable) {
  std::unique_lock lock(mutex_);
  const HeldPtr held = find_id(migration);
  if (held == nullptr || doubt_all(held, why)) return true;
  return wait_for_commit(std::move(lock), held, std::move(durable));
}

bool Ledger::suspects(const std::string& migration, std::uint64_t pair, std::int32_t db,
                      std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(migration);
  if (found == by_id_.end()) return false;
  const Held& held = *found->second;
  return held.books.right_of(pair, db, key) ||
         std::any_of(held.head.reasons.begin(), held.head.reasons.end(), is_behind);
}

std::optional<Side> Ledger::right_of(const std::string& migration, std::uint64_t pair,
                                     std::int32_t db, std::string_view key) const {
  const std::lock_guard lock(mutex_);
  const HeldPtr held = find_id(migration);
  return held == nullptr ? std::nullopt : held->books.right_of(pair, db, key);
}

Suspected Ledger::suspected(const std::string& migration) const {
  const std::lock_guard lock(mutex_);
  const HeldPtr held = find_id(migration);
  if (held == nullptr) return Suspected::None;
  if (held->verifying && !held->head.reasons.empty()) return Suspected::All;
  return held->books.size() > 0 ? Suspected::Some : Suspected::None;
}

void Ledger::take_up(const std::vector<Name>& migrations, const std::set<std::string>& new_right) {
  std::vector<std::string> unknown;
  {
    const std::lock_guard lock(mutex_);
    for (const Name& name : migrations) {
      const HeldPtr held = find_uuid(name.uuid);
      if (held == nullptr) continue;
      held->id = name.id;
      by_id_[name.id] = held;
    }
    for (const auto& [uuid, held] : by_uuid_) {
      if (held->id.empty()) unknown.push_back(uuid);
      if (!held->head.open) continue;
      (void)doubt_all(held, new_right.contains(uuid) ? kCrashOfNewRight : kCrash);
      held->head.open = false;  // and is written with the reason, in one
      change_head(held);
    }
  }
  for (const std::string& uuid : unknown) forget(uuid);
}

bool Ledger::knows(const std::string& uuid) const {
  const std::lock_guard lock(mutex_);
  return by_uuid_.contains(uuid);
}

Status Ledger::begin(const Name& migration, Before before, Side right) {
  std::promise<bool> promise;
  {
    std::unique_lock lock(mutex_);
    const bool fresh = !by_uuid_.contains(migration.uuid);
    const HeldPtr held = enlist(migration);
    if (fresh && before == Before::InForce) (void)doubt_all(held, kNoLedger);
    bool turned = false;
    if (!fresh && before == Before::NotInForce) {
      (void)doubt_all(held, kApart);
      const std::vector<std::uint64_t> changed = held->books.make_right(right, ++version_);
      for (const std::uint64_t seq : changed) change(held, seq);
      turned = !changed.empty();
    }
    if (held->head.open && held->open_on_disk && !turned) return success();
    held->head.open = true;
    change_head(held);
    (void)wait_for_commit(std::move(lock), held, [&](bool durable) { promise.set_value(durable); });
  }
  if (promise.get_future().get()) return success();
  const std::lock_guard lock(mutex_);
  return Error{Errc::Unavailable, "write the ledger file",
               (failure_.empty() ? "it is closed" : failure_) +
                   "; without it nothing is written to both sides"};
}

void Ledger::set_pairs(const std::string& uuid, std::set<std::uint64_t> pairs) {
  const std::lock_guard lock(mutex_);
  if (const HeldPtr held = find_uuid(uuid)) held->books.set_pairs(std::move(pairs));
}

void Ledger::end(const std::string& uuid) {
  {
    const std::lock_guard lock(mutex_);
    const HeldPtr held = find_uuid(uuid);
    if (held == nullptr || !held->head.open) return;
    held->head.open = false;
    held->open_on_disk = false;  // it is, but not for long
    change_head(held);
  }
  wake_.notify_one();
}

bool Ledger::is_open(const std::string& uuid) const {
  const std::lock_guard lock(mutex_);
  const HeldPtr held = find_uuid(uuid);
  return held != nullptr && held->head.open;
}

void Ledger::forget(const std::string& uuid) {
  HeldPtr held;  // ends outside of the lock, as it may be large
  {
    const std::lock_guard lock(mutex_);
    held = find_uuid(uuid);
    if (held == nullptr) return;
    by_uuid_.erase(uuid);
    if (const auto named = by_id_.find(held->id); named != by_id_.end() && named->second == held) {
      by_id_.erase(named);
    }
    held->forgotten = true;
    size_->fetch_sub(held->books.size(), std::memory_order_relaxed);
    if (!held->head.reasons.empty()) doubtful_->fetch_sub(1, std::memory_order_relaxed);
    work_.drops.push_back(held->head.number);
  }
  wake_.notify_one();
}

// Takes over what a server is now; true when that leaves doubts.
bool Ledger::differs(const HeldPtr& held, LedgerServer& before, const LedgerServer& now) {
  if (before.run_id != now.run_id) {
    before = now;
    (void)doubt_all(held, endpoint_of(now.side, now.endpoint, kStartedAgain));
    return true;
  }
  const bool took_over = now.takeovers > before.takeovers;
  before.takeovers = now.takeovers;
  if (took_over) (void)doubt_all(held, endpoint_of(now.side, now.endpoint, kTookOver));
  if (!now.evicted_keys) return took_over;
  // Fewer than before: it was told to count anew, and these it has counted since.
  const bool evicted =
      before.evicted_keys && *before.evicted_keys != *now.evicted_keys && *now.evicted_keys > 0;
  before.evicted_keys = now.evicted_keys;
  if (evicted) (void)doubt_all(held, endpoint_of(now.side, now.endpoint, kEvicted));
  return evicted || took_over;
}

void Ledger::saw(const std::string& migration, const LedgerServer& server) {
  {
    const std::lock_guard lock(mutex_);
    const HeldPtr held = find_id(migration);
    if (held == nullptr) return;
    std::vector<LedgerServer>& known = held->head.servers;
    const auto before = std::find_if(known.begin(), known.end(), [&](const LedgerServer& one) {
      return one.place == server.place;
    });
    if (before == known.end()) {
      known.push_back(server);
    } else if (!differs(held, *before, server)) {
      return;
    }
    change_head(held);
  }
  wake_.notify_one();
}

void Ledger::moved(const std::string& migration, Side side, const std::string& endpoint) {
  std::promise<bool> told;
  const bool on_disk = note_all(migration, endpoint_of(side, endpoint, kMoved),
                                [&](bool durable) { told.set_value(durable); });
  if (!on_disk) (void)told.get_future().get();
}

void Ledger::was_alone(const std::string& migration) { note_all(migration, kAlone, nullptr); }

std::uint64_t Ledger::begin_verification(const std::string& migration) {
  const std::lock_guard lock(mutex_);
  const HeldPtr held = find_id(migration);
  if (held == nullptr) return 0;
  held->verifying = true;
  return held->doubts;
}

void Ledger::end_verification(const std::string& migration) {
  const std::lock_guard lock(mutex_);
  if (const HeldPtr held = find_id(migration); held != nullptr) held->verifying = false;
}

// What was in one of them is in the other now. Nothing tells whether it was suspected before or
// after it went over: it is in both, and what was not is found equal.
bool Ledger::swap(const std::string& migration, std::uint64_t pair, std::int32_t one_db,
                  std::int32_t other_db, Durable durable) {
  std::vector<Suspect> moved;
  {
    const std::lock_guard lock(mutex_);
    const HeldPtr held = find_id(migration);
    if (held == nullptr || one_db == other_db) return true;
    for (LedgerEntry& entry : held->books.all_of(pair)) {
      if (entry.at.db != one_db && entry.at.db != other_db) continue;
      entry.at.db = entry.at.db == one_db ? other_db : one_db;
      entry.at.pair = pair;
      moved.push_back({std::move(entry.at), entry.doubt, entry.right});
    }
  }
  return moved.empty() || note(migration, moved, std::move(durable));
}

bool Ledger::verified(const std::string& migration, std::uint64_t doubts_version) {
  {
    const std::lock_guard lock(mutex_);
    const HeldPtr held = find_id(migration);
    if (held == nullptr || held->doubts != doubts_version) return false;
    if (held->head.reasons.empty()) return true;
    doubtful_->fetch_sub(1, std::memory_order_relaxed);
    held->head.reasons.clear();
    held->reasons_on_disk = 0;
    change_head(held);
  }
  wake_.notify_one();
  return true;
}

std::vector<LedgerEntry> Ledger::due(const std::string& uuid, std::size_t max,
                                     const std::set<std::uint64_t>& resting) {
  std::vector<LedgerEntry> entries;
  const std::int64_t now = steady_ms_();
  const std::lock_guard lock(mutex_);
  if (const HeldPtr held = find_uuid(uuid)) held->books.due(now, max, resting, entries);
  return entries;
}

// Half of the delay is fixed, half is dice: entries that failed together do not come back together.
std::int64_t Ledger::retry_at(std::uint32_t attempts) {
  const std::uint32_t doublings = std::min(attempts - 1, kRetryDoublings);
  const std::int64_t delay = std::min(kRetryFirst_ms << doublings, kRetryMost_ms);
  return steady_ms_() + delay / 2 + static_cast<std::int64_t>(dice_()) % (delay / 2 + 1);
}

void Ledger::settle(const std::string& migration, const SuspectKey& at, std::uint64_t version,
                    RepairOutcome outcome, const std::string& why, std::uint32_t places) {
  {
    const std::lock_guard lock(mutex_);
    const HeldPtr held = find_id(migration);
    if (held == nullptr) return;
    const Book::Settled settled =
        held->books.settle(at, version, outcome, why, places, [&](std::uint32_t attempts) {
          return outcome == RepairOutcome::Unreachable ? steady_ms_() : retry_at(attempts);
        });
    if (settled.removed) size_->fetch_sub(1, std::memory_order_relaxed);
    if (settled.seq == 0) return;
    change(held, settled.seq);
  }
  wake_.notify_one();
}

std::optional<Ledger::Summary> Ledger::summary(const std::string& uuid) const {
  const std::lock_guard lock(mutex_);
  const HeldPtr held = find_uuid(uuid);
  if (held == nullptr) return std::nullopt;
  return Summary{held->books.size(),
                 held->head.reasons,
                 {held->books.right_on(Side::Old), held->books.right_on(Side::New)}};
}

std::uint64_t Ledger::entries_at(const std::string& uuid, std::uint64_t pair) const {
  const std::lock_guard lock(mutex_);
  const HeldPtr held = find_uuid(uuid);
  return held == nullptr ? 0 : held->books.size_at(pair);
}

std::vector<LedgerEntry> Ledger::page(const std::string& uuid, std::uint64_t after,
                                      std::size_t limit) const {
  std::vector<LedgerEntry> entries;
  entries.reserve(limit);
  const std::lock_guard lock(mutex_);
  if (const HeldPtr held = find_uuid(uuid)) held->books.page(after, limit, entries);
  return entries;
}

LedgerFigures Ledger::figures() const {
  const std::lock_guard lock(mutex_);
  LedgerFigures figures{.migrations = {}, .commits = commits_, .write_failures = write_failures_};
  for (const auto& [uuid, held] : by_uuid_) {
    figures.migrations.push_back({.migration = held->id,
                                  .entries = held->books.size(),
                                  .needs_full_verification = !held->head.reasons.empty(),
                                  .noted = held->books.noted(),
                                  .repaired = held->books.repaired()});
  }
  return figures;
}

}  // namespace crossfade
