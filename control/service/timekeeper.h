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
#include <map>
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
  Timekeeper(
      Store& store, Keeper& keeper, Conductor& conductor, Clock clock,
      Gate gate = [](const Migration&) { return true; })
      : keeper_(keeper),
        conductor_(conductor),
        clock_(std::move(clock)),
        gate_(std::move(gate)),
        duty_(store, kDuty, kDutyFor) {}

  void start();
  void stop();  // when what it is doing is done

  // One look at the clock: does all that is due, if that is this sidecar's duty.
  void look();

 private:
  // How it went last, for a window that is open.
  struct Try {
    std::int64_t at = 0;
    std::string why = {};  // it failed
  };
  // Since when a ramp's migration is as it is now: what has changed is held anew.
  struct Held {
    std::uint64_t version = 0;
    std::int64_t since = 0;
  };
  void attend(const Migration& migration, const TimeWindowSpec& window);
  void attend(const Migration& migration, const CanarySpec& canary);
  void execute(const Migration& migration, const TimeWindowSpec& window);

  Keeper& keeper_;
  Conductor& conductor_;
  const Clock clock_;
  const Gate gate_;
  Duty duty_;
  // By migration (uuid); of the thread that looks.
  std::map<std::string, Try> tries_;
  std::map<std::string, Held> held_;
  Rounds rounds_;
};

}  // namespace crossfade
