// The thread that looks at the clock.
#include "control/service/timekeeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

#include "control/definitions/instant.h"
#include "control/service/migration_rules.h"

namespace crossfade {

namespace {

constexpr std::chrono::milliseconds kTimekeeperRound{200};
constexpr std::int64_t kBetweenTries_s = 5;
constexpr std::int64_t kLate_s = 2;  // an execution that is later says so

std::string span(const TimeWindowSpec& window) {
  return "the window from " + rfc3339(window.window_start) + " to " + rfc3339(window.window_end);
}

std::string unfinished(const TimeWindowSpec& window, const std::string& last_failure) {
  if (window.executed) {
    return span(window) +
           " has ended and the migration was not completed, as its write_mode still "
           "sends writes to old";
  }
  if (!last_failure.empty()) {
    return span(window) + " has ended and the migration could not be executed: " + last_failure;
  }
  return span(window) +
         " was missed: while it was open the sidecar was not running, or the migration was paused, "
         "or not started in time";
}

}  // namespace

void Timekeeper::start() {
  rounds_.start(kTimekeeperRound, [this] { look(); });
}

void Timekeeper::stop() {
  rounds_.stop();
  finish();
}

void Timekeeper::look() {
  note_outcomes();
  if (!duty_.ours()) {
    looked_ms_.reset();
    held_.clear();
    return;
  }
  const std::int64_t now_ms = monotonic_();
  const StatePtr state = keeper_.state();
  std::erase_if(held_, [&](const auto& one) { return !state->migrations.contains(one.first); });
  std::erase_if(tries_, [&](const auto& one) { return !state->migrations.contains(one.first); });
  for (const auto& [uuid, migration] : state->migrations) {
    const StrategySpec& strategy = migration->spec.strategy;
    if (const auto* window = std::get_if<TimeWindowSpec>(&strategy)) attend(migration, *window);
    if (const auto* canary = std::get_if<CanarySpec>(&strategy)) attend(*migration, *canary);
  }
  looked_ms_ = now_ms;
}

void Timekeeper::attend(const MigrationPtr& seen, const TimeWindowSpec& window) {
  const Migration& migration = *seen;
  const std::string& uuid = migration.identity.uuid;
  if (executing_.contains(uuid)) return;
  const std::int64_t now = clock_();
  const bool goes_back = migration.status == MigrationStatus::RollingBack;
  if (migration.status != MigrationStatus::Running && !goes_back) {
    tries_.erase(uuid);
    return;
  }
  Try& last = tries_[uuid];
  if (last.at > now) last.at = 0;  // the clock was set back
  if (last.at != 0 && now < last.at + kBetweenTries_s) return;
  if (goes_back || now >= window.window_end) {
    last.at = now;
    const bool done = !goes_back && everything_on_new(window, keeper_.self());
    const bool finished = done && all_on_new(*keeper_.state(), migration, keeper_.self());
    // What takes part is on new; that more does is the operator's to say.
    if (done && !finished) return;
    // Whoever took the write_mode away had to see to what new may lack.
    const Call ending{.actor = kOurselves, .if_match = {}, .force = true};
    const Answer answer = finished ? conductor_.complete(uuid, ending)
                                   : conductor_.take_back(migration, unfinished(window, last.why));
    if (const auto* refusal = std::get_if<Refusal>(&answer)) {
      spdlog::error("migration {}: {}", migration.identity.id, refusal->message);
    }
  } else if (!window.executed && now >= window.window_start) {
    last.at = now;
    execute(seen, window);
  }
}

// The time of day of a change is on disk with it, so that a restart does not begin anew. But it may
// have been set since, and be wrong by years: it is worth no more than what has passed since we
// looked last, and at the first look no more than the one step that is due.
std::int64_t Timekeeper::held_before_ms(const Migration& migration, const RampSpec& ramp,
                                        std::int64_t now_ms) const {
  const std::int64_t now = clock_();
  const std::int64_t since = parse_instant(migration.identity.updated_at).value_or(now);
  const std::int64_t held_ms = std::max<std::int64_t>(now - since, 0) * 1'000;
  const std::int64_t most_ms = looked_ms_ ? now_ms - *looked_ms_ : ramp.hold_s * 1'000LL;
  return std::min(held_ms, most_ms);
}

void Timekeeper::attend(const Migration& migration, const CanarySpec& canary) {
  const std::string& uuid = migration.identity.uuid;
  if (!canary.ramp || migration.status != MigrationStatus::Running) {
    held_.erase(uuid);
    return;
  }
  const std::int64_t now_ms = monotonic_();
  Held& held = held_[uuid];
  if (held.version != migration.identity.version) {
    held = {migration.identity.version, now_ms - held_before_ms(migration, *canary.ramp, now_ms)};
  }
  const auto next = std::ranges::upper_bound(canary.ramp->steps, canary.read_percentage);
  if (next == canary.ramp->steps.end()) return;
  const std::int64_t hold_ms = std::int64_t{canary.ramp->hold_s} * 1'000;
  if (now_ms < held.since_ms + hold_ms || !gate_(migration)) return;
  const Answer answer = conductor_.step(migration, *next);
  held.since_ms = now_ms;  // a step that failed is tried again as late as the next would be
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    spdlog::warn("migration {}: {}", migration.identity.id, refusal->message);
  }
}

void Timekeeper::execute(const MigrationPtr& migration, const TimeWindowSpec& window) {
  const std::int64_t late = clock_() - window.window_start;
  std::string how = "executed: its window has opened";
  if (late > kLate_s) how += ", " + std::to_string(late) + " s ago";
  const auto run = [this, migration, how] { return conductor_.execute(*migration, how); };
  Execution& begun = executing_[migration->identity.uuid];
  begun.migration = migration;
  try {
    begun.answer = std::async(std::launch::async, run);
  } catch (
      const std::system_error&) {  // no more threads are to be had: by whoever asks how it went
    begun.answer = std::async(std::launch::deferred, run);
  }
}

void Timekeeper::note_outcomes() {
  for (auto one = executing_.begin(); one != executing_.end();) {
    if (one->second.answer.wait_for(std::chrono::seconds(0)) == std::future_status::timeout) {
      ++one;
      continue;
    }
    note_outcome(one->second);
    one = executing_.erase(one);
  }
}

void Timekeeper::finish() {
  for (auto& [uuid, one] : executing_) note_outcome(one);
  executing_.clear();
}

void Timekeeper::note_outcome(Execution& execution) {
  const Answer answer = execution.answer.get();
  const Migration& migration = *execution.migration;
  const auto* refusal = std::get_if<Refusal>(&answer);
  if (refusal == nullptr) {
    tries_.erase(migration.identity.uuid);
    return;
  }
  Try& last = tries_[migration.identity.uuid];
  if (last.why == refusal->message) return;
  last.why = refusal->message;
  const auto& window = std::get<TimeWindowSpec>(migration.spec.strategy);
  conductor_.note(migration, "not executed, tried again until " + rfc3339(window.window_end) +
                                 ": " + refusal->message);
}

}  // namespace crossfade
