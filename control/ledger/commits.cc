// The ledger's thread: grouped commits, and what happens when the disk refuses them.
//
// Changes are taken up in the order in which they were noted, each with what its entry says when it
// is written; who waits for a change is told when it and all before it are on disk.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "control/ledger/ledger.h"

namespace crossfade {

namespace {

constexpr std::size_t kCommitMax = 16'384;  // changes of one transaction
constexpr std::size_t kCopiedAtOnce = 128;  // entries, while nobody can note
constexpr std::uint32_t kLoadedAtOnce = 8'192;
constexpr std::int64_t kTryFirst_ms = 10;
constexpr std::int64_t kTryMost_ms = 1'000;

void record(Histogram& histogram, std::chrono::steady_clock::duration spent) {
  const auto ns = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(spent).count());
  std::size_t bucket = 0;
  while (bucket + 1 < Histogram::kBuckets && Histogram::bound_ns(bucket) < ns) ++bucket;
  ++histogram.counts[bucket];
  ++histogram.total;
  histogram.sum_ns += ns;
}

bool nothing_in(const LedgerFile::Batch& batch) {
  return batch.heads.empty() && batch.puts.empty() && batch.removals.empty() && batch.drop == 0;
}

}  // namespace

Status Ledger::read_all() {
  auto heads = file_->heads();
  if (!heads) return heads.error();
  for (LedgerHead& head : *heads) {
    auto held = std::make_shared<Held>();
    held->head = std::move(head);
    held->open_on_disk = held->head.open;
    held->reasons_on_disk = held->head.reasons.size();
    for (;;) {
      auto entries = file_->entries(held->head.number, held->written_to, kLoadedAtOnce);
      if (!entries) return entries.error();
      if (entries->empty()) break;
      for (LedgerEntry& entry : *entries) {
        held->written_to = entry.seq;
        version_ = std::max(version_, entry.version);
        held->books.restore(std::move(entry));
      }
    }
    size_->fetch_add(held->books.size(), std::memory_order_relaxed);
    if (!held->head.reasons.empty()) doubtful_->fetch_add(1, std::memory_order_relaxed);
    next_number_ = std::max(next_number_, held->head.number + 1);
    by_uuid_[held->head.uuid] = held;
  }
  return success();
}

Status Ledger::open(const std::string& path) {
  auto file = LedgerFile::open(path);
  if (!file) return file.error();
  const std::lock_guard lock(mutex_);
  file_.emplace(std::move(*file));
  if (Status status = read_all(); !status) return status;
  running_ = true;
  thread_ = std::thread([this] { run(); });
  return success();
}

void Ledger::stop(End end) {
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable()) return;
    for (const auto& [uuid, held] : by_uuid_) {
      if (end == End::Unclean || !held->head.open) continue;
      held->head.open = false;
      change_head(held);
    }
    ending_ = true;
  }
  wake_.notify_one();
  thread_.join();
  thread_ = std::thread();
  file_.reset();
}

void Ledger::run() {
  for (;;) {
    switch (wait()) {
      case Wake::Commit:
        commit();
        break;
      case Wake::Waiters:
        tell_false();
        break;
      case Wake::End:
        tell_false();
        return;
    }
  }
}

bool Ledger::failing_for_long() const {
  return failing_since_ms_ && steady_ms_() - *failing_since_ms_ >= options_.patience_ms;
}

// Sleeps until there is something to do, and takes it over.
Ledger::Wake Ledger::wait() {
  std::unique_lock lock(mutex_);
  if (failing_since_ms_) {
    const auto pause = std::chrono::milliseconds(
        std::max<std::int64_t>(std::int64_t{0}, next_try_ms_ - steady_ms_()));
    wake_.wait_for(lock, pause,
                   [this] { return failing_for_long() && (ending_ || !work_.waiters.empty()); });
  } else if (backlog_.empty()) {
    wake_.wait(lock, [this] { return ending_ || !work_.empty(); });
  }
  absorb();
  if (ending_ && (backlog_.empty() || failing_for_long())) {
    running_ = false;
    return Wake::End;
  }
  if (failing_for_long() && steady_ms_() < next_try_ms_) return Wake::Waiters;
  return Wake::Commit;
}

void Ledger::absorb() {
  backlog_.heads.insert(backlog_.heads.end(), work_.heads.begin(), work_.heads.end());
  std::move(work_.changes.begin(), work_.changes.end(), std::back_inserter(backlog_.changes));
  std::move(work_.waiters.begin(), work_.waiters.end(), std::back_inserter(backlog_.waiters));
  backlog_.drops.insert(backlog_.drops.end(), work_.drops.begin(), work_.drops.end());
  work_ = Work();
}

// Copies what is to be written; returns how many changes that is.
std::size_t Ledger::gather(LedgerFile::Batch& batch) {
  {
    const std::lock_guard lock(mutex_);
    for (const HeldPtr& held : backlog_.heads) {
      held->head_waits = false;
      if (!held->forgotten) batch.heads.push_back(held->head);
    }
  }
  const std::size_t count = std::min(backlog_.changes.size(), kCommitMax);
  for (std::size_t next = 0; next < count;) {
    const std::lock_guard lock(mutex_);
    for (const std::size_t end = std::min(count, next + kCopiedAtOnce); next < end; ++next) {
      const Change& change = backlog_.changes[next];
      const std::int64_t number = change.held->head.number;
      if (change.held->forgotten) continue;
      if (auto entry = change.held->books.find(change.seq)) {
        batch.puts.push_back({number, std::move(*entry)});
      } else if (change.seq <= change.held->written_to) {
        batch.removals.push_back({number, change.seq});
      }
    }
  }
  if (!backlog_.drops.empty()) batch.drop = backlog_.drops.front();
  return count;
}

void Ledger::commit() {
  LedgerFile::Batch batch;
  const std::size_t changes = gather(batch);
  Result<bool> dropped = true;
  if (!nothing_in(batch)) {
    const auto began = std::chrono::steady_clock::now();
    dropped = file_->write(batch);
    const auto spent = std::chrono::steady_clock::now() - began;
    const std::lock_guard lock(mutex_);
    if (dropped) record(commits_, spent);
  }
  if (dropped) {
    written(batch, changes, *dropped);
  } else {
    not_written(dropped.error());
  }
}

void Ledger::written(const LedgerFile::Batch& batch, std::size_t changes, bool dropped) {
  std::vector<Durable> told;
  bool recovered = false;
  {
    const std::lock_guard lock(mutex_);
    recovered = failing_since_ms_.has_value();
    failing_since_ms_.reset();
    for (const LedgerHead& head : batch.heads) {
      const HeldPtr held = find_uuid(head.uuid);
      if (held == nullptr) continue;
      held->open_on_disk = head.open && held->head.open;
      const auto same = std::mismatch(head.reasons.begin(), head.reasons.end(),
                                      held->head.reasons.begin(), held->head.reasons.end());
      held->reasons_on_disk = static_cast<std::size_t>(same.first - head.reasons.begin());
    }
  }
  backlog_.heads.clear();
  if (batch.drop != 0 && dropped) backlog_.drops.pop_front();
  auto put = batch.puts.begin();
  for (std::size_t next = 0; next < changes;) {
    const std::lock_guard lock(mutex_);
    for (const std::size_t end = std::min(changes, next + kCopiedAtOnce); next < end; ++next) {
      const Change& change = backlog_.changes[next];
      if (put == batch.puts.end() || put->entry.seq != change.seq ||
          put->number != change.held->head.number) {
        continue;
      }
      change.held->books.written(change.seq, put->entry.right);
      change.held->written_to = std::max(change.held->written_to, change.seq);
      ++put;
    }
  }
  backlog_.changes.erase(backlog_.changes.begin(),
                         backlog_.changes.begin() + static_cast<std::ptrdiff_t>(changes));
  changes_done_ += changes;
  failures_ = 0;
  if (recovered) spdlog::info("the ledger is written again");
  while (!backlog_.waiters.empty() && backlog_.waiters.front().after <= changes_done_) {
    const Durable durable = std::move(backlog_.waiters.front().durable);
    backlog_.waiters.pop_front();
    if (durable) durable(true);
  }
}

void Ledger::not_written(const Error& error) {
  bool first = false;
  bool for_long = false;
  {
    const std::lock_guard lock(mutex_);
    ++write_failures_;
    first = !failing_since_ms_;
    if (first) failing_since_ms_ = steady_ms_();
    failure_ = error.reason;
    for_long = failing_for_long();
    for (const HeldPtr& held : backlog_.heads) held->head_waits = true;  // they wait still
  }
  if (first) {
    spdlog::error("the ledger can not be written and is tried again: {}", error.message());
  }
  next_try_ms_ = steady_ms_() + std::min(kTryFirst_ms << std::min(failures_, 7U), kTryMost_ms);
  ++failures_;
  if (!for_long) return;
  tell_false();
  compact();
}

// Nobody waits for more: the migration says that it needs full verification, and its keys are
// written when that is possible.
void Ledger::tell_false() {
  {
    const std::lock_guard lock(mutex_);
    const std::string why = "the ledger could not be written: " + failure_;
    for (const Waiter& waiter : backlog_.waiters) (void)doubt_all(waiter.held, why);
  }
  while (!backlog_.waiters.empty()) {
    const Durable durable = std::move(backlog_.waiters.front().durable);
    backlog_.waiters.pop_front();
    if (durable) durable(false);
  }
}

// While nothing can be written, changes that took back one another must not pile up. Nobody waits.
void Ledger::compact() {
  if (backlog_.changes.size() <= 2 * size_->load(std::memory_order_relaxed) + kCommitMax) return;
  const std::size_t before = backlog_.changes.size();
  const auto place = [](const Change& change) { return std::pair(change.held.get(), change.seq); };
  std::sort(backlog_.changes.begin(), backlog_.changes.end(),
            [&](const Change& one, const Change& other) { return place(one) < place(other); });
  const auto end = std::unique(
      backlog_.changes.begin(), backlog_.changes.end(),
      [&](const Change& one, const Change& other) { return place(one) == place(other); });
  backlog_.changes.erase(end, backlog_.changes.end());
  std::erase_if(backlog_.changes, [this](const Change& change) {
    const std::lock_guard lock(mutex_);
    return change.seq > change.held->written_to && !change.held->books.find(change.seq);
  });
  changes_done_ += before - backlog_.changes.size();
}

}  // namespace crossfade
