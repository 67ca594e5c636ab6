// The thread that looks at new.
#include "control/service/guard.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <random>
#include <system_error>
#include <utility>
#include <vector>

#include "control/service/right_side.h"
#include "control/service/server_pairs.h"
#include "control/side_by_side.h"
#include "protocols/base/visit.h"
#include "strategies/migration.h"

namespace crossfade {

namespace {

constexpr std::chrono::milliseconds kGuardRound{500};
constexpr std::int64_t kBetweenTries_ms = 5'000;
constexpr std::uint32_t kProbe_ms = 1'000;
constexpr std::int64_t kBetweenProbesDown_ms = 1'000;
constexpr std::int64_t kBetweenProbesWell_ms = 5'000;
constexpr std::int64_t kFirstPause_ms = 1'000;
constexpr std::int64_t kPauseMax_ms = 60'000;

const InterlayTraffic* traffic_of(const Telemetry& telemetry, const State& state,
                                  const Binding& binding) {
  const std::string& id = state.interlays.at(binding.interlay)->identity.id;
  const auto found = std::ranges::find(telemetry.interlays, id, &InterlayTraffic::id);
  return found == telemetry.interlays.end() ? nullptr : &*found;
}

// Of this sidecar; geographic: it may, for clients of other regions; strangler_fig: it may, for
// apis that have gone.
bool reads_new(const Strategy& strategy) {
  return std::visit(Visit{[](const BigBang&) { return true; },
                          [](const Canary& canary) { return canary.read_share > 0; },
                          [](const BlueGreen& blue_green) { return blue_green.active_is_new; },
                          [](const ShadowTraffic&) { return true; },
                          [](const RollingUpdate& rolling) { return rolling.here_migrated; },
                          [](const Geographic&) { return true; },
                          [](const TimeWindow& window) { return window.executed; },
                          [](const StranglerFig&) { return true; },
                          [](const FeatureFlag& flag) { return flag.rollout_share > 0; }},
                    strategy);
}

// Nobody is hurt by a new side that is asked nothing, and it says nothing: a window that has not
// opened, a ramp that begins at nobody.
bool sends_nothing_to_new(const Strategy& strategy) {
  return !reads_new(strategy) && !dual_write_authority(strategy) && !splits_writes(strategy) &&
         home(strategy) == Side::Old;
}

// Otherwise it is we who fail, not who is asked. errno says why.
bool may_open_sockets() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return false;
  ::close(descriptor);
  return true;
}

// That new may be down.
//   failures  of connections to new, when we looked last
bool hints(const Migration& migration, const InterlayTraffic& traffic,
           const std::optional<std::uint64_t>& failures) {
  if (traffic.down[kNew] || (failures && traffic.failures[kNew] > *failures)) return true;
  // Nobody may have asked new since this process began: a step may be due at once.
  const auto* canary = std::get_if<CanarySpec>(&migration.spec.strategy);
  return !failures && canary != nullptr && canary->ramp.has_value();
}

std::size_t going_on(const Migration& migration) {
  return static_cast<std::size_t>(
      std::ranges::count(migration.bindings, false, &Binding::taken_back));
}

}  // namespace

std::int64_t retry_pause_ms(std::uint32_t retry, double dice) {
  std::int64_t pause = kFirstPause_ms;
  for (std::uint32_t i = 1; i < retry && pause < kPauseMax_ms; ++i) pause *= 2;
  pause = std::min(pause, kPauseMax_ms);
  return pause / 2 + static_cast<std::int64_t>(static_cast<double>(pause - pause / 2) * dice);
}

Dice system_dice() {
  return [chance = std::mt19937_64(std::random_device{}())]() mutable {
    return std::uniform_real_distribution<>()(chance);
  };
}

void Guard::start() {
  rounds_.start(kGuardRound, [this] { look(); });
}

void Guard::stop() { rounds_.stop(); }

bool Guard::may_go_on(const Migration& migration) const {
  const std::lock_guard held(mutex_);
  const auto found = well_.find(migration.identity.uuid);
  return found != well_.end() && found->second == migration.identity.version;
}

GuardFigures Guard::figures() const {
  const std::lock_guard held(mutex_);
  return figures_;
}

void Guard::look() {
  const StatePtr state = keeper_.state();
  const auto is_running = [&](const std::string& uuid) {
    const auto found = state->migrations.find(uuid);
    return found != state->migrations.end() && found->second->status == MigrationStatus::Running;
  };
  std::erase_if(watched_, [&](const auto& one) { return !is_running(one.first); });
  std::map<std::string, std::uint64_t> well;
  const bool any = std::ranges::any_of(state->migrations,
                                       [&](const auto& one) { return is_running(one.first); });
  const Telemetry telemetry = any ? data_plane_.telemetry() : Telemetry{};
  ask_all(*state, telemetry);
  for (const auto& [uuid, migration] : state->migrations) {
    if (begun_.contains(uuid)) finish(*migration);
    if (migration->status != MigrationStatus::Running) continue;
    if (attend(*state, *migration, telemetry) == Sight::Well) {
      well[uuid] = migration->identity.version;
    }
  }
  show();
  const std::lock_guard held(mutex_);
  well_ = std::move(well);
}

void Guard::show() {
  const std::int64_t now = clock_();
  std::map<std::pair<std::string, std::string>, GuardView> views;
  for (const auto& [migration, one] : watched_) {
    for (const auto& [interlay, watch] : one.interlays) {
      GuardView& view = views[{migration, interlay}];
      view.window = watch.window.figures();
      if (watch.down_since_ms) view.down_for_ms = now - *watch.down_since_ms;
      view.retries = watch.retries;
    }
  }
  const std::lock_guard held(mutex_);
  views_ = std::move(views);
}

std::optional<GuardView> Guard::view(const std::string& migration,
                                     const std::string& interlay) const {
  const std::lock_guard held(mutex_);
  const auto found = views_.find({migration, interlay});
  return found == views_.end() ? std::nullopt : std::optional(found->second);
}

// A rollback whose table some loop did not take over in time is on disk, and to be ended.
void Guard::finish(const Migration& migration) {
  if (migration.status != MigrationStatus::RollingBack) {
    begun_.erase(migration.identity.uuid);
    return;
  }
  Duty duty = acting(migration);
  if (!duty.ours()) return;
  const Answer answer = conductor_.take_back(migration, migration.reason, kGuardActor);
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    spdlog::error("migration {}: {}", migration.identity.id, refusal->message);
  }
}

void Guard::leave(const Migration& migration, const Binding& binding) {
  const auto found = watched_.find(migration.identity.uuid);
  if (found == watched_.end()) return;
  found->second.interlays.erase(binding.interlay);
  if (found->second.interlays.empty()) watched_.erase(found);
}

// What is judged is the migration as it is: of another share, or another policy, other counts.
Guard::Watched& Guard::watched(const Migration& migration) {
  Watched& one = watched_[migration.identity.uuid];
  if (one.version == migration.identity.version) return one;
  one.version = migration.identity.version;
  for (auto& [uuid, watch] : one.interlays) {
    watch = Watch{.failures = watch.failures,
                  .ask_at_ms = watch.ask_at_ms,
                  .down_since_ms = watch.down_since_ms};
  }
  return one;
}

std::optional<Strategy> Guard::judged(const State& state, const Migration& migration,
                                      const Binding& binding) const {
  const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
  const Strategy strategy =
      to_strategy(migration.spec.strategy, at_interlay(state, interlay, keeper_.self()));
  return sends_nothing_to_new(strategy) ? std::nullopt : std::optional(strategy);
}

Guard::Sight Guard::attend(const State& state, const Migration& migration,
                           const Telemetry& telemetry) {
  Sight worst = Sight::Well;
  for (const Binding& binding : migration.bindings) {
    if (binding.taken_back) continue;
    const std::optional<Strategy> strategy = judged(state, migration, binding);
    if (!strategy) {
      leave(migration, binding);
      continue;
    }
    const InterlayTraffic* traffic = traffic_of(telemetry, state, binding);
    if (traffic == nullptr) continue;
    worst = std::max(worst,
                     attend(state, migration, binding, *traffic, dual_write_authority(*strategy)));
    if (worst == Sight::Acted) break;  // the migration is another one by now
  }
  return worst;
}

Guard::Sight Guard::attend(const State& state, const Migration& migration, const Binding& binding,
                           const InterlayTraffic& traffic, std::optional<Side> authority) {
  const std::int64_t now = clock_();
  Watched& all = watched(migration);
  Watch& watch = all.interlays[binding.interlay];
  const Guardrails rails = migration.spec.guardrails.value_or(Guardrails{});
  if (now < watch.retry_at_ms) {
    watch.window.forget();
    return Sight::Sick;
  }
  watch.window.note(now, guard_counts(traffic, authority), rails.window_s);
  look_after(state, migration, binding, traffic, watch);
  if (now < all.again_at_ms) return Sight::Sick;
  std::optional<Crossing> crossing = too_long_down(state, binding, rails, watch);
  if (!crossing) crossing = watch.window.crossing(rails);
  if (crossing) {
    Duty duty = acting(migration);
    if (!duty.ours()) return Sight::Sick;
    crossing->why = "interlay '" + traffic.id + "': " + crossing->why;
    fail(state, migration, binding, watch, *crossing);
    return watch.hesitated ? Sight::Sick : Sight::Acted;
  }
  if (watch.down_since_ms) return Sight::Sick;
  watch.hesitated = false;
  if (watch.retries > 0) {
    if (!watch.window.full()) return Sight::Sick;
    conductor_.note(migration,
                    fmt::format("interlay '{}': well again after retry {} of {}", traffic.id,
                                watch.retries, migration.spec.failure_handling.retry_count),
                    kGuardActor);
    watch.retries = 0;
  }
  const bool tells = !migration.spec.guardrails || watch.window.enough(rails);
  return tells ? Sight::Well : Sight::Unsure;
}

// Down is what we are not answered by, whoever gave the hint: a loop that is asked nothing any more
// does not hear that new is back, and one whose sessions are all on old does not say that it is
// down.
void Guard::look_after(const State& state, const Migration& migration, const Binding& binding,
                       const InterlayTraffic& traffic, Watch& watch) {
  const std::uint64_t failures = traffic.failures[kNew];
  const std::int64_t now = clock_();
  if (!hints(migration, traffic, watch.failures)) watch.failures = failures;
  if (!asks(migration, traffic, watch)) return;
  watch.failures = failures;
  if (answers(state, binding)) {
    watch.down_since_ms = std::nullopt;
    watch.ask_at_ms = now + kBetweenProbesWell_ms;
  } else {
    if (!watch.down_since_ms) watch.down_since_ms = now;
    watch.ask_at_ms = now + kBetweenProbesDown_ms;
  }
}

std::optional<Crossing> Guard::too_long_down(const State& state, const Binding& binding,
                                             const Guardrails& rails, Watch& watch) {
  const auto for_ms = too_long_ms(rails, watch);
  if (!for_ms) return std::nullopt;
  if (answers(state, binding)) {
    watch.down_since_ms = std::nullopt;
    return std::nullopt;
  }
  return Crossing{GuardCause::NewSideDown, fmt::format("new is down for {} s, guardrail {} s",
                                                       *for_ms / 1'000, *rails.new_side_down_s)};
}

bool Guard::asks(const Migration& migration, const InterlayTraffic& traffic,
                 const Watch& watch) const {
  const bool doubted = hints(migration, traffic, watch.failures) || watch.down_since_ms;
  return doubted && clock_() >= watch.ask_at_ms;
}

// Those who are to give a sign of life, at once: one that hangs is waited for once in a look.
void Guard::ask_all(const State& state, const Telemetry& telemetry) {
  std::map<std::string, EndpointPtr> due;
  const std::int64_t now = clock_();
  const auto consider = [&](const Migration& migration, const Binding& binding) {
    const InterlayTraffic* traffic = traffic_of(telemetry, state, binding);
    if (traffic == nullptr || !judged(state, migration, binding)) return;
    const Watch& watch = watched(migration).interlays[binding.interlay];
    const Guardrails rails = migration.spec.guardrails.value_or(Guardrails{});
    const bool late = too_long_ms(rails, watch).has_value();
    if (now >= watch.retry_at_ms && (late || asks(migration, *traffic, watch))) {
      due.emplace(binding.endpoint, state.endpoints.at(binding.endpoint));
    }
  };
  for (const auto& [uuid, migration] : state.migrations) {
    if (migration->status != MigrationStatus::Running) continue;
    for (const Binding& binding : migration->bindings) {
      if (!binding.taken_back) consider(*migration, binding);
    }
  }
  std::vector<std::pair<const Endpoint*, bool>> each;
  for (const auto& [uuid, endpoint] : due) each.emplace_back(endpoint.get(), false);
  side_by_side(each.size(), [&](std::size_t i) { each[i].second = is_alive(*each[i].first); });
  answered_.clear();
  for (const auto& [endpoint, alive] : each) answered_[endpoint->identity.uuid] = alive;
}

std::optional<std::int64_t> Guard::too_long_ms(const Guardrails& rails, const Watch& watch) const {
  if (!watch.down_since_ms || !rails.new_side_down_s) return std::nullopt;
  const std::int64_t for_ms = clock_() - *watch.down_since_ms;
  // A retry has waited already.
  if (watch.retries == 0 && for_ms < std::int64_t{*rails.new_side_down_s} * 1'000) {
    return std::nullopt;
  }
  return for_ms;
}

bool Guard::answers(const State& state, const Binding& binding) {
  const auto found = answered_.find(binding.endpoint);
  if (found != answered_.end()) return found->second;
  return answered_[binding.endpoint] = is_alive(*state.endpoints.at(binding.endpoint));
}

bool Guard::is_alive(const Endpoint& endpoint) {
  if (servers_.check_answers(endpoint, kProbe_ms)) return true;
  if (may_open_sockets()) return false;
  spdlog::warn(
      "endpoint {}: whether it answers is not known, as this process can open no socket: {}",
      endpoint.identity.id, std::generic_category().message(errno));
  return true;
}

Duty Guard::acting(const Migration& migration) {
  return {store_, "guard/" + migration.identity.uuid, kActing};
}

void Guard::fail(const State& state, const Migration& migration, const Binding& binding,
                 Watch& watch, const Crossing& crossing) {
  const bool pauses =
      migration.spec.guardrails && migration.spec.guardrails->action == Guardrails::Action::Pause;
  if (pauses) {
    return done(
        migration, GuardAction::Pause, crossing,
        conductor_.hold(migration, crossing.why + "; paused, routing stays as it is", kGuardActor));
  }
  if (old_is_no_refuge(state, migration, binding, watch, crossing)) return;
  if (would_leave_writes(migration, watch, crossing)) return;
  switch (migration.spec.failure_handling.type) {
    case FailureHandling::Type::RollbackAll:
      return roll_back(migration, watch, crossing);
    case FailureHandling::Type::RetryThenAll:
      if (watch.retries < migration.spec.failure_handling.retry_count) {
        return retry(migration, watch, crossing);
      }
      return roll_back(migration, watch, crossing);
    case FailureHandling::Type::AllowPartial:
      if (going_on(migration) == 1 || dual_writes(migration.spec.strategy) ||
          shares_new(state, migration, binding)) {
        return roll_back(migration, watch, crossing);
      }
      return done(
          migration, GuardAction::RollbackInterlay, crossing,
          conductor_.take_back_interlay(migration, binding.interlay, crossing.why, kGuardActor));
  }
}

// Without guardrails nobody has said that what clients have written to new may be lost to them.
bool Guard::would_leave_writes(const Migration& migration, Watch& watch, const Crossing& crossing) {
  if (migration.spec.guardrails) return false;
  const NewOnlyWrites::Count count = new_only_writes_.count(migration);
  if (count.writes == 0 && count.exact) return false;
  const std::string writes =
      count.writes == 0
          ? "writes may be"
          : fmt::format("{}{} writes are", count.exact ? "" : "at least ", count.writes);
  hesitate(migration, watch,
           fmt::format("{}; not rolled back, as {} on new only: POST …/rollback leaves them there, "
                       "and so would guardrails",
                       crossing.why, writes));
  return true;
}

// What clients of one interlay have written there would be missing for those of the other.
bool Guard::shares_new(const State& state, const Migration& migration,
                       const Binding& binding) const {
  if (std::holds_alternative<ShadowTrafficSpec>(migration.spec.strategy)) return false;
  const Endpoint& own = *state.endpoints.at(binding.endpoint);
  return std::ranges::any_of(migration.bindings, [&](const Binding& other) {
    return other.interlay != binding.interlay && !other.taken_back &&
           one_database(own, *state.endpoints.at(other.endpoint), servers_) != nullptr;
  });
}

// What fails on new would fail on old, all of it, or is not there.
bool Guard::old_is_no_refuge(const State& state, const Migration& migration, const Binding& binding,
                             Watch& watch, const Crossing& crossing) {
  const Endpoint& old_endpoint =
      *state.endpoints.at(state.interlays.at(binding.interlay)->endpoint);
  if (!is_alive(old_endpoint)) {
    if (!watch.old_gone) watch.old_gone = servers_.run_id_of(old_endpoint);
    hesitate(
        migration, watch,
        fmt::format("{}; not rolled back, as old ('{}') does not answer: it is done when it does",
                    crossing.why, old_endpoint.identity.id));
    return true;
  }
  // One that has lost what it had is no place to send everything to unasked.
  const auto summary = ledger_.summary(migration.identity.uuid);
  std::string lost = summary ? what_was_lost(Side::Old, *summary) : std::string();
  const bool another = watch.old_gone && !watch.old_gone->empty() &&
                       servers_.run_id_of(old_endpoint) != *watch.old_gone;
  if (lost.empty() && another) {
    lost = fmt::format("old ('{}') was started again since, and may have lost what it had",
                       old_endpoint.identity.id);
  }
  if (lost.empty()) return false;
  if (!std::exchange(watch.old_has_lost, true)) watch.hesitated = false;  // it says so, too
  hesitate(
      migration, watch,
      fmt::format("{}; not rolled back, as {}: look at it, then POST …/rollback if all is well",
                  crossing.why, lost));
  return true;
}

void Guard::hesitate(const Migration& migration, Watch& watch, const std::string& what) {
  watched_[migration.identity.uuid].again_at_ms = clock_() + kBetweenTries_ms;
  if (watch.hesitated) return;
  watch.hesitated = true;
  spdlog::warn("migration {}: {}", migration.identity.id, what);
  conductor_.note(migration, what, kGuardActor);
}

void Guard::retry(const Migration& migration, Watch& watch, const Crossing& crossing) {
  ++watch.retries;
  const std::int64_t pause = retry_pause_ms(watch.retries, dice_());
  watch.retry_at_ms = clock_() + pause;
  watch.window.forget();
  const std::string what =
      fmt::format("{}; retry {} of {} in {:.1f} s", crossing.why, watch.retries,
                  migration.spec.failure_handling.retry_count, static_cast<double>(pause) / 1e3);
  spdlog::warn("migration {}: {}", migration.identity.id, what);
  conductor_.note(migration, what, kGuardActor);
  const std::lock_guard held(mutex_);
  ++figures_[static_cast<std::size_t>(GuardAction::Retry)]
            [static_cast<std::size_t>(crossing.cause)];
}

void Guard::roll_back(const Migration& migration, const Watch& watch, const Crossing& crossing) {
  std::string why = crossing.why;
  if (watch.retries > 0) why += fmt::format("; still so after {} retries", watch.retries);
  begun_.insert(migration.identity.uuid);
  done(migration, GuardAction::Rollback, crossing,
       conductor_.take_back(migration, why, kGuardActor));
}

void Guard::done(const Migration& migration, GuardAction action, const Crossing& crossing,
                 const Answer& answer) {
  if (const auto* refusal = std::get_if<Refusal>(&answer)) {
    spdlog::error("migration {}: {}: {}", migration.identity.id, crossing.why, refusal->message);
    watched_[migration.identity.uuid].again_at_ms = clock_() + kBetweenTries_ms;
    // Traffic goes back though a loop is late, or the store refuses it.
    const MigrationPtr now = find(keeper_.state()->migrations, migration.identity.uuid);
    if (now == nullptr || now->identity.version == migration.identity.version) return;
  }
  spdlog::warn("migration {}: {} by itself: {}", migration.identity.id, name_of(action),
               crossing.why);
  const std::lock_guard held(mutex_);
  ++figures_[static_cast<std::size_t>(action)][static_cast<std::size_t>(crossing.cause)];
}

}  // namespace crossfade
