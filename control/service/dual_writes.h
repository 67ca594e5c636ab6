// Marks, on disk, which migrations are writing to both sides: a mark that is found at the start
// means writes that were in flight when the process before was killed, and nobody knows how they
// ended.
//
// The mark is there before a table that writes to both sides is handed out. It goes when the
// process ends in good order, or when no loop plans by such a table any more, which is stored, and
// every second leg has ended. With it the ledger learns which processes the servers were when they
// were last asked before: the watch for restarts sees another one at its first look. Any thread.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "control/ledger/ledger.h"
#include "control/service/keeper.h"
#include "control/service/servers.h"
#include "control/state.h"
#include "strategies/ports.h"

namespace crossfade {

class DualWrites {
 public:
  // Becomes the keeper's precaution.
  DualWrites(Ledger& ledger, Keeper& keeper, const Servers& servers, const DataPlane& data_plane);

  // After the keeper has restored its state, and before anything is published.
  void restore();

  // Takes away the marks that are needed no more. Called again and again.
  void sample();

 private:
  Status mark(const State& next);
  void note_moved(const State& before, const State& next, const Migration& migration);
  void note_servers(const State& next, const Migration& migration);
  bool rested(const std::string& uuid, bool busy);
  void take_away(const std::string& uuid);

  Ledger& ledger_;
  Keeper& keeper_;
  const Servers& servers_;
  const DataPlane& data_plane_;
  // By uuid, from the mark to the table that ends it. Of mark() alone, which the keeper calls in
  // its turns.
  std::set<std::string> marked_;
  std::mutex mutex_;                    // guards what follows
  std::map<std::string, int> at_rest_;  // rounds in a row without a leg in flight; by uuid
};

}  // namespace crossfade
