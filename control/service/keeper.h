// The keeper of the state: the one place where it changes.
//
// A change is a turn: its holder alone may change anything, works on a copy of the state, and ends
// by committing it or by letting it go. What is durable (the store), in force (the published table)
// and shown (the state that readers see) agree whenever no turn is being taken:
//
//   commit = precaution taken -> durable -> in force -> shown
//
//   1. the store fails: nothing has changed; or it does not know whether its next reader would find
//      the change made, says so, and makes none until it knows
//   2. the loops do not confirm the new table in time: the former state is made durable and in
//   force
//      again, and nothing has changed; a loop that is stuck adopts the latest table when it wakes
//   3. a step of that way back fails too: what is on disk is what counts, and the error says what
//   it is
//   4. a way back (to old) is not taken back: it stays on disk when 2 happens, and when 1 happens
//      it is in force and shown all the same, and unstored: the store is asked again each second
//      (store_again()), and gets it before, or with, anything else (decision 0032)
//
// Knows nothing of HTTP, of ports, and of what a change means.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "control/clock.h"
#include "control/service/servers.h"
#include "control/state.h"
#include "control/store/store.h"
#include "protocols/base/result.h"
#include "strategies/ports.h"
#include "strategies/table.h"

namespace crossfade {

inline constexpr const char* kOurselves = "crossfade";  // actor of what the process does by itself

class Keeper {
 public:
  Keeper(Store& store, const DataPlane& data_plane, const Servers& servers,
         InterlaySettings defaults, Self self = {}, Clock clock = system_clock())
      : store_(store),
        data_plane_(data_plane),
        servers_(servers),
        defaults_(defaults),
        self_(std::move(self)),
        clock_(std::move(clock)) {}

  // What must be done before the table of a state may be handed out; its failure is the publish's.
  // Set before the first turn.
  using Precaution = std::function<Status(const State& next)>;
  void set_precaution(Precaution precaution) { precaution_ = std::move(precaution); }

  // The state as of the last turn. Any thread.
  StatePtr state() const;
  // The epoch of the last table that every loop has confirmed. Any thread.
  std::uint64_t epoch() const;
  // Every loop has taken over the last table that was handed out and waited for. Any thread.
  bool confirmed() const;

  std::int64_t now() const { return clock_(); }
  const InterlaySettings& defaults() const { return defaults_; }
  const Self& self() const { return self_; }

  class Turn {
   public:
    State next;  // change this

    // Notes that a migration has changed, at the time of this turn.
    void touch(Identity& identity) const { crossfade::touch(identity, at_); }
    // Adds to the journal what this turn does to a migration.
    void journal(const std::string& migration, const std::string& actor, const std::string& from,
                 const std::string& to, std::string reason);

   private:
    friend class Keeper;
    Turn(std::mutex& writer, const Clock& clock) : held_(writer), at_(rfc3339(clock())) {}
    std::unique_lock<std::mutex> held_;
    const std::string at_;
    StatePtr before_;
    std::vector<Event> events_;
  };

  // Waits for the turn before to end.
  Turn begin();

  // Where a change leads. Back to old nothing may stop it: neither a store that refuses it, nor a
  // loop that is late.
  enum class Way : std::uint8_t { Onward, Back };
  // Makes turn.next durable, in force, and shown.
  //   errors  Unavailable: nothing was changed, or as the message says: so where the store is not
  //           as this process has left it; of a way back Timeout: shown, not confirmed by every
  //           loop. Whether a way back is durable unstored() says, in success and Timeout alike
  Status commit(Turn& turn, Way way = Way::Onward);

  // What is in force and shown, and not in the store.
  struct Unstored {
    std::string since;  // RFC 3339
    std::string why;    // the store's last word
    MigrationPtr stored;
  };
  // Of a migration (uuid): nullopt where it is stored as it is shown. Any thread.
  std::optional<Unstored> unstored(const std::string& migration) const;
  // Why anything is unstored; empty: nothing is. Any thread.
  std::string unstored() const;
  // Asks the store again to take what is unstored.
  //   returns  nothing is, now
  bool store_again();

  // The steps of a commit, for changes that must do something between them (open a port).
  Status put_in_force(const State& state);
  Status make_durable(Turn& turn);
  void show(Turn& turn);  // and logs the journal's lines

  // The table in force, confirmed by every loop, is not the one that `state` would give: servers
  // told their commands since. Only in a turn.
  bool outdated(const State& state) const;

  // Loads what was stored; publishes nothing.
  //   errors  BadConfig: the store holds what this version can not read
  Status restore();

 private:
  Status take_precaution(const State& state) const;
  Table build(const State& state) const;
  Status store(Turn& turn);
  void note_unstored(const Turn& turn, const std::string& why);
  Status publish(Table table);
  Status take_back(Turn& turn, const Error& why);
  static Changes changes_between(const State& before, const State& after);

  Store& store_;
  const DataPlane& data_plane_;
  const Servers& servers_;
  const InterlaySettings defaults_;
  const Self self_;
  const Clock clock_;
  Precaution precaution_;

  std::mutex writer_;           // held by the turn
  mutable std::mutex readers_;  // guards what follows, for the length of a copy
  StatePtr state_ = std::make_shared<const State>();
  std::uint64_t confirmed_epoch_ = 0;
  // Of the last table handed out and waited for; changed in a turn only.
  std::uint64_t handed_epoch_ = 0;
  // What the store has instead of `state_`, and the journal's lines that it lacks.
  struct Debt {
    StatePtr stored;
    std::vector<Event> events;  // of turns only
    std::string since;
    std::string why;
  };
  std::optional<Debt> debt_;  // changed in a turn only

  TablePtr handed_;        // null before the first
  Revision revision_ = 0;  // of the store, as it was left or found; changed in a turn only
};

}  // namespace crossfade
