// What running migrations do by themselves when their time has come: a time_window is executed when
// it opens, tried again while it is open, and taken back when it ends unfinished.
//
// A migration that is paused stands still, whatever the hour. What was missed while the process was
// down, or the migration paused, is made up for or taken back at the first look after it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "control/clock.h"
#include "control/service/conductor.h"
#include "control/service/keeper.h"

namespace crossfade {

class Timekeeper {
 public:
  Timekeeper(Keeper& keeper, Conductor& conductor, Clock clock)
      : keeper_(keeper), conductor_(conductor), clock_(std::move(clock)) {}
  ~Timekeeper() { stop(); }
  Timekeeper(const Timekeeper&) = delete;
  Timekeeper& operator=(const Timekeeper&) = delete;

  void start();
  void stop();  // when what it is doing is done

  // One look at the clock: does all that is due.
  void look();

 private:
  // How it went last, for a window that is open.
  struct Try {
    std::int64_t at = 0;
    std::string why = {};  // it failed
  };
  void work();
  bool wait();  // until the next look; false at the end
  void attend(const Migration& migration, const TimeWindowSpec& window);
  void execute(const Migration& migration, const TimeWindowSpec& window);

  Keeper& keeper_;
  Conductor& conductor_;
  const Clock clock_;
  std::map<std::string, Try> tries_;  // by migration (uuid); of the thread that looks
  std::mutex mutex_;
  std::condition_variable wake_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace crossfade
