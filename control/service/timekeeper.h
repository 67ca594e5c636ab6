// What running migrations do by themselves when their time has come: a time_window is executed when
// it opens, tried again while it is open, and taken back when it ends unfinished; a canary's ramp
// goes a step up when the last one was held for long enough.
//
// Of a fleet, one sidecar does it for all (duty.h). A migration that is paused stands still,
// whatever the hour. What was missed while the process was down, or the migration paused, is made
// up for or taken back at the first look after it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "control/clock.h"
#include "control/rounds.h"
#include "control/service/conductor.h"
#include "control/service/duty.h"
#include "control/service/keeper.h"

namespace crossfade {

class Timekeeper {
 public:
  static constexpr const char* kDuty = "timekeeper";   // the name of its lease
  static constexpr std::chrono::seconds kDutyFor{30};  // longer than what is done at one look
  // Whether all is well with a migration, so that a ramp may go on.
  using Gate = std::function<bool(const Migration&)>;
  // A window opens by the time of day; a ramp is held by a clock that nobody sets.
  Timekeeper(
      Store& store, Keeper& keeper, Conductor& conductor, Clock clock, MonotonicClock monotonic,
      Gate gate = [](const Migration&) { return true; })
      : keeper_(keeper),
        conductor_(conductor),
        clock_(std::move(clock)),
        monotonic_(std::move(monotonic)),
        gate_(std::move(gate)),
        duty_(store, kDuty, kDutyFor) {}

  void start();
  void stop();  // when what it is doing is done

  // One look at the clock: does all that is due, if that is this sidecar's duty. Windows are tested
  // and opened in threads of their own, as the servers of one may hang while another's do not.
  void look();

  // Waits for the windows that are being opened.
  void finish();

 private:
  // How it went last, for a window that is open.
  struct Try {
    std::int64_t at = 0;
    std::string why = {};  // it failed
  };
  // Since when a ramp's migration is as it is now: what has changed is held anew.
  struct Held {
    std::uint64_t version = 0;
    std::int64_t since_ms = 0;  // monotonic
  };
  void attend(const MigrationPtr& migration, const TimeWindowSpec& window);
  void attend(const Migration& migration, const CanarySpec& canary);
  std::int64_t held_before_ms(const Migration& migration, const RampSpec& ramp,
                              std::int64_t now_ms) const;
  void execute(const MigrationPtr& migration, const TimeWindowSpec& window);
  struct Execution {
    MigrationPtr migration;
    std::future<Answer> answer;
  };
  void note_outcome(Execution& execution);
  void note_outcomes();  // of those that are over

  Keeper& keeper_;
  Conductor& conductor_;
  const Clock clock_;
  const MonotonicClock monotonic_;
  const Gate gate_;
  Duty duty_;
  std::optional<std::int64_t> looked_ms_;  // monotonic; nullopt: not since this is our duty
  // By migration (uuid); of the thread that looks.
  std::map<std::string, Try> tries_;
  std::map<std::string, Held> held_;
  std::map<std::string, Execution> executing_;
  Rounds rounds_;
};

}  // namespace crossfade
