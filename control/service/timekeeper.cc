// The thread that looks at the clock.
#include "control/service/timekeeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "control/definitions/instant.h"
#include "control/service/migration_rules.h"

namespace crossfade {

namespace {

constexpr std::chrono::milliseconds kRound{200};
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
         " was missed: the sidecar was not running, or the migration paused, while it was open";
}

}  // namespace

void Timekeeper::start() {
  rounds_.start(kRound, [this] { look(); });
}

void Timekeeper::stop() { rounds_.stop(); }

void Timekeeper::look() {
  if (!duty_.ours()) return;
  const StatePtr state = keeper_.state();
  std::erase_if(held_, [&](const auto& one) { return !state->migrations.contains(one.first); });
  std::erase_if(tries_, [&](const auto& one) { return !state->migrations.contains(one.first); });
  for (const auto& [uuid, migration] : state->migrations) {
    const StrategySpec& strategy = migration->spec.strategy;
    if (const auto* window = std::get_if<TimeWindowSpec>(&strategy)) attend(*migration, *window);
    if (const auto* canary = std::get_if<CanarySpec>(&strategy)) attend(*migration, *canary);
  }
}

void Timekeeper::attend(const Migration& migration, const TimeWindowSpec& window) {
  const std::string& uuid = migration.identity.uuid;
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
    const Answer answer = finished
                              ? conductor_.complete(uuid, Call{.actor = kOurselves, .if_match = {}})
                              : conductor_.take_back(migration, unfinished(window, last.why));
    if (const auto* refusal = std::get_if<Refusal>(&answer)) {
      spdlog::error("migration {}: {}", migration.identity.id, refusal->message);
    }
  } else if (!window.executed && now >= window.window_start) {
    last.at = now;
    execute(migration, window);
  }
}

void Timekeeper::attend(const Migration& migration, const CanarySpec& canary) {
  const std::string& uuid = migration.identity.uuid;
  if (!canary.ramp || migration.status != MigrationStatus::Running) {
    held_.erase(uuid);
    return;
  }
  const std::int64_t now = clock_();
  Held& held = held_[uuid];
  if (held.version != migration.identity.version) {
    // On disk with the change, so that a restart does not begin the time anew.
    held = {migration.identity.version, parse_instant(migration.identity.updated_at).value_or(now)};
  }
  held.since = std::min(held.since, now);  // the clock was set back
  const auto next = std::ranges::upper_bound(canary.ramp->steps, canary.read_percentage);
  if (next == canary.ramp->steps.end()) return;
  if (now < held.since + canary.ramp->hold_s || !gate_(migration)) return;
  const Answer answer = conductor_.step(migration, *next);
  held.since = now;  // a step that failed is tried again as late as the next would be
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    spdlog::warn("migration {}: {}", migration.identity.id, refusal->message);
  }
}

void Timekeeper::execute(const Migration& migration, const TimeWindowSpec& window) {
  Try& last = tries_[migration.identity.uuid];
  const std::int64_t late = clock_() - window.window_start;
  std::string how = "executed: its window has opened";
  if (late > kLate_s) how += ", " + std::to_string(late) + " s ago";
  const Answer answer = conductor_.execute(migration, how);
  const auto* refusal = std::get_if<Refusal>(&answer);
  if (refusal == nullptr) {
    tries_.erase(migration.identity.uuid);
  } else if (last.why != refusal->message) {
    last.why = refusal->message;
    conductor_.note(migration, "not executed, tried again until " + rfc3339(window.window_end) +
                                   ": " + refusal->message);
  }
}

}  // namespace crossfade
