// What goes on by itself: counting writes on new only, taking away marks of dual writes, opening
// ports that were not free at the start, asking servers again for their commands, storing what the
// store has refused, and seeing to it that a state file that takes nothing is known before that
// matters.
#pragma once

#include <cstdint>

#include "control/rounds.h"
#include "control/service/dual_writes.h"
#include "control/service/keeper.h"
#include "control/service/listeners.h"
#include "control/service/new_only_writes.h"
#include "control/service/servers.h"
#include "control/store/state_file.h"

namespace crossfade {

inline constexpr std::uint32_t kLearnTimeout_ms = 1'000;  // for one server to tell its commands

// Asks the servers behind interlays that have not told their commands, or their catalogs, all at
// once.
void learn_from_servers(const State& state, Servers& servers);

// Puts into force what servers have told since the last table was built, whoever asked them.
void put_learned_in_force(Keeper& keeper);

class Housekeeper {
 public:
  Housekeeper(Keeper& keeper, Servers& servers, NewOnlyWrites& new_only_writes,
              DualWrites& dual_writes, Listeners& listeners, StateFile& file)
      : keeper_(keeper),
        servers_(servers),
        new_only_writes_(new_only_writes),
        dual_writes_(dual_writes),
        listeners_(listeners),
        file_(file) {}
  ~Housekeeper() { stop(); }

  void start();
  void stop();  // and saves what was counted, if it was started, and what is unstored

 private:
  void work();
  void try_file();

  Keeper& keeper_;
  Servers& servers_;
  NewOnlyWrites& new_only_writes_;
  DualWrites& dual_writes_;
  Listeners& listeners_;
  StateFile& file_;
  bool file_failed_ = false;  // and it was said
  std::uint64_t round_ = 0;
  Rounds rounds_;
};

}  // namespace crossfade
