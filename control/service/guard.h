// Takes running migrations back, or holds them, by itself when new fails: a guardrail is crossed,
// or new is down for too long.
//
//   what counts            guard_window.h, decision 0026
//   what is done           guardrails.action: pause, or what failure_handling says:
//     rollback_all         everything to old, at once
//     retry_then_all       waits and looks again, retry_count times, then as rollback_all
//     allow_partial        the interlay that failed goes to old, the others go on; it takes all
//                          along as the last one, where writes go to both sides, and where another
//                          one writes to the same new side
//
// Each step is a turn of the conductor's, as the API's calls are, with the reason in the journal.
// Of a fleet every sidecar judges for itself; those that see a migration fail act one at a time
// (duty.h).
// What is remembered between two looks (windows, retries) is not kept over a restart: it begins
// anew.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "control/clock.h"
#include "control/guard_figures.h"
#include "control/guard_window.h"
#include "control/ledger/ledger.h"
#include "control/rounds.h"
#include "control/service/conductor.h"
#include "control/service/duty.h"
#include "control/service/guard_view.h"
#include "control/service/keeper.h"
#include "control/service/new_only_writes.h"
#include "control/service/servers.h"
#include "strategies/ports.h"

namespace crossfade {

inline constexpr const char* kGuardActor = "guardrail";

// How long is waited before a retry: doubled with each one, at most a minute, and between half of
// that and all of it.
//   retry  from 1
//   dice   from 0 to 1
std::int64_t retry_pause_ms(std::uint32_t retry, double dice);

using Dice = std::function<double()>;  // from 0 to 1, 1 left out
Dice system_dice();

class Guard {
 public:
  static constexpr std::chrono::seconds kActing{30};  // at most, as one of a fleet

  Guard(Store& store, Keeper& keeper, Conductor& conductor, Servers& servers,
        NewOnlyWrites& new_only_writes, const Ledger& ledger, const DataPlane& data_plane,
        MonotonicClock clock, Dice dice)
      : store_(store),
        keeper_(keeper),
        conductor_(conductor),
        servers_(servers),
        new_only_writes_(new_only_writes),
        ledger_(ledger),
        data_plane_(data_plane),
        clock_(std::move(clock)),
        dice_(std::move(dice)) {}

  void start();
  void stop();  // when what it is doing is done

  // One look at the counters: does all that is due.
  void look();

  // A ramp's gate: as of the last look new was up, nothing was crossed, and, where there are
  // guardrails, it was asked often enough to tell. Any thread.
  bool may_go_on(const Migration& migration) const;
  GuardFigures figures() const;  // any thread
  // Of an interlay (uuid) of a running migration (uuid), as of the last look; nothing where new is
  // not judged. Any thread.
  std::optional<GuardView> view(const std::string& migration, const std::string& interlay) const;

 private:
  // Of one interlay of a running migration.
  struct Watch {
    GuardWindow window = {};
    std::optional<std::uint64_t> failures = {};      // of connections to new, when last looked
    std::int64_t ask_at_ms = 0;                      // whether new answers
    std::optional<std::int64_t> down_since_ms = {};  // it did not
    std::uint32_t retries = 0;                       // that were begun
    std::int64_t retry_at_ms = 0;
    bool hesitated = false;  // said why nothing is done
    // While old did not answer as it was to take all back: which process that was; "": unknown.
    std::optional<std::string> old_gone = {};
    bool old_has_lost = false;  // said that it has, or may have
  };
  struct Watched {
    std::uint64_t version = 0;
    std::int64_t again_at_ms = 0;                 // what was refused is tried again
    std::map<std::string, Watch> interlays = {};  // by uuid
  };
  enum class Sight : std::uint8_t { Well, Unsure, Sick, Acted };

  Watched& watched(const Migration& migration);
  void leave(const Migration& migration, const Binding& binding);  // new is asked nothing there
  void show();                                                     // as of this look
  Sight attend(const State& state, const Migration& migration, const Telemetry& telemetry);
  Sight attend(const State& state, const Migration& migration, const Binding& binding,
               const InterlayTraffic& traffic, std::optional<Side> authority);
  void look_after(const State& state, const Migration& migration, const Binding& binding,
                  const InterlayTraffic& traffic, Watch& watch);
  std::optional<Crossing> too_long_down(const State& state, const Binding& binding,
                                        const Guardrails& rails, Watch& watch);
  // Whether new is to be asked for a sign of life.
  bool asks(const Migration& migration, const InterlayTraffic& traffic, const Watch& watch) const;
  void ask_all(const State& state, const Telemetry& telemetry);
  // How a binding is routed, where new is asked anything.
  std::optional<Strategy> judged(const State& state, const Migration& migration,
                                 const Binding& binding) const;
  // How long new was down, where that is too long; milliseconds.
  std::optional<std::int64_t> too_long_ms(const Guardrails& rails, const Watch& watch) const;
  bool answers(const State& state, const Binding& binding);
  bool is_alive(const Endpoint& endpoint);
  void fail(const State& state, const Migration& migration, const Binding& binding, Watch& watch,
            const Crossing& crossing);
  void retry(const Migration& migration, Watch& watch, const Crossing& crossing);
  void roll_back(const Migration& migration, const Watch& watch, const Crossing& crossing);
  bool would_leave_writes(const Migration& migration, Watch& watch, const Crossing& crossing);
  bool shares_new(const State& state, const Migration& migration, const Binding& binding) const;
  bool old_is_no_refuge(const State& state, const Migration& migration, const Binding& binding,
                        Watch& watch, const Crossing& crossing);
  // Says once why nothing is done; it is looked at again a while later.
  void hesitate(const Migration& migration, Watch& watch, const std::string& what);
  void done(const Migration& migration, GuardAction action, const Crossing& crossing,
            const Answer& answer);
  void finish(const Migration& migration);
  Duty acting(const Migration& migration);

  Store& store_;
  Keeper& keeper_;
  Conductor& conductor_;
  Servers& servers_;
  NewOnlyWrites& new_only_writes_;
  const Ledger& ledger_;
  const DataPlane& data_plane_;
  const MonotonicClock clock_;
  const Dice dice_;
  std::map<std::string, Watched> watched_;  // by migration (uuid); of the thread that looks
  std::set<std::string> begun_;             // rollbacks; likewise
  std::map<std::string, bool> answered_;    // by endpoint (uuid), in this look; likewise
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t> well_;  // by migration (uuid): its version, as it was seen
  std::map<std::pair<std::string, std::string>, GuardView> views_;  // migration, interlay; uuids
  GuardFigures figures_{};
  Rounds rounds_;
};

}  // namespace crossfade
