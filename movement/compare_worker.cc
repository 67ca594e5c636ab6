// The queue, its thread, and the counting; judging and looking again are elsewhere.
#include "movement/compare_worker.h"

#include <algorithm>
#include <ctime>
#include <random>
#include <utility>

namespace crossfade {

namespace {

std::uint64_t secret_seed() {
  std::random_device chance;
  return (std::uint64_t{chance()} << 32) | chance();
}

// Digests that differ have been compared by meaning. Rows in another order may be ties of ORDER BY,
// or another collation: nobody can tell.
Meaning meaning_of(const Mismatch& mismatch) {
  if (mismatch.sql) {
    const bool order = mismatch.sql->compared.what == postgres::Difference::Order;
    return order ? Meaning::Tolerable : Meaning::Different;
  }
  // A part of a reply says nothing, unless both are asked again.
  if (mismatch.truncated) return Meaning::Different;
  return judge(mismatch.command, mismatch.old_reply, mismatch.new_reply);
}

// What an operator might want to see.
bool is_sampled(const Mismatch& mismatch, MismatchClass what) {
  return what != MismatchClass::Same && (what != MismatchClass::Tolerable || mismatch.sql);
}

constexpr MismatchClass class_of(Meaning meaning) {
  return meaning == Meaning::Same ? MismatchClass::Same : MismatchClass::Tolerable;
}

}  // namespace

CompareWorker::CompareWorker(const CompareSettings& settings)
    : settings_(settings),
      seed_(secret_seed()),
      second_look_(settings_, stop_.get_token()),
      sql_look_(settings_, stop_.get_token()),
      samples_(settings_.mismatch_samples_max) {}

CompareWorker::~CompareWorker() { stop(); }

void CompareWorker::start() {
  std::lock_guard lock(mutex_);
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void CompareWorker::stop() {
  stop_.request_stop();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void CompareWorker::offer(Mismatch mismatch) {
  std::lock_guard lock(mutex_);
  if (stopping_ || held() >= settings_.compare_queue_max) {
    ++counts_[mismatch.route->id].dropped;
    return;
  }
  fresh_.push_back(std::move(mismatch));
  changed_.notify_all();
}

std::vector<MismatchSample> CompareWorker::samples(const std::string& migration) const {
  std::lock_guard lock(mutex_);
  return samples_.of(migration);
}

MismatchCounts CompareWorker::counts(const std::string& interlay) const {
  std::lock_guard lock(mutex_);
  const auto found = counts_.find(interlay);
  return found == counts_.end() ? MismatchCounts{} : found->second;
}

bool CompareWorker::wait_settled(std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, limit, [this] { return held() == 0; });
}

void CompareWorker::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const bool due = !again_.empty() && again_.front().due <= Clock::now();
    // By turns: neither a flood of new pairs nor a slow server keeps the other kind waiting for
    // ever.
    if (due) take_due(lock);
    if (!fresh_.empty() && !stopping_) {
      take_fresh(lock);
    } else if (!due && !again_.empty()) {
      changed_.wait_until(lock, again_.front().due);
    } else if (!due) {
      lock.unlock();
      second_look_.hang_up();
      sql_look_.hang_up();
      lock.lock();
      changed_.wait(lock, [this] { return stopping_ || !fresh_.empty(); });
    }
  }
  give_up_all(lock);
}

void CompareWorker::take_fresh(std::unique_lock<std::mutex>& lock) {
  Mismatch mismatch = std::move(fresh_.front());
  fresh_.pop_front();
  in_hand_ = 1;
  lock.unlock();
  const Meaning meaning = meaning_of(mismatch);
  const bool chance = !mismatch.sql && hangs_on_chance(mismatch.command, mismatch.chance);
  lock.lock();
  if (meaning == Meaning::Different && !chance) {
    in_hand_ = 0;
    again_.push_back({std::move(mismatch),
                      Clock::now() + std::chrono::milliseconds(settings_.compare_pause_ms)});
    return;
  }
  settle(lock, std::move(mismatch),
         meaning == Meaning::Different ? MismatchClass::Chance : class_of(meaning));
}

void CompareWorker::take_due(std::unique_lock<std::mutex>& lock) {
  Mismatch mismatch = std::move(again_.front().mismatch);
  again_.pop_front();
  in_hand_ = 1;
  lock.unlock();
  const MismatchClass what = mismatch.sql ? sql_look_.look(mismatch) : second_look_.look(mismatch);
  lock.lock();
  settle(lock, std::move(mismatch), what);
}

// Counts it, and keeps a sample, which is made without the lock: those who offer must not wait for
// it.
void CompareWorker::settle(std::unique_lock<std::mutex>& lock, Mismatch mismatch,
                           MismatchClass what) {
  if (is_sampled(mismatch, what)) {
    lock.unlock();
    MismatchSample sample =
        sample_of(mismatch, what, std::time(nullptr), settings_.redact_values, seed_);
    lock.lock();
    samples_.keep(mismatch.route->migration, std::move(sample));
  }
  auto& classes = counts_[mismatch.route->id].classes;
  ++classes[sort_index(mismatch.sort)][static_cast<std::size_t>(what)];
  in_hand_ = 0;
  if (held() == 0) changed_.notify_all();
}

void CompareWorker::give_up_all(std::unique_lock<std::mutex>& lock) {
  for (Mismatch& mismatch : std::exchange(fresh_, {})) {
    settle(lock, std::move(mismatch), MismatchClass::Unsure);
  }
  for (Waiting& waiting : std::exchange(again_, {})) {
    settle(lock, std::move(waiting.mismatch), MismatchClass::Unsure);
  }
  changed_.notify_all();
}

}  // namespace crossfade
