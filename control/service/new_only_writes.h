// How many writes each migration sent to new that old did not get: what a rollback would lose.
//
// The data plane counts since its start and by interlay; this credits what is counted to the
// migration that began last on it, whatever its status: what was sent to new before a rollback may
// be answered after it. Keeps the counts across restarts, and says when a crash may have cost some.
// Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "control/service/keeper.h"
#include "control/store/state_file.h"
#include "strategies/ports.h"

namespace crossfade {

class NewOnlyWrites {
 public:
  NewOnlyWrites(StateFile& file, const Keeper& keeper, const DataPlane& data_plane)
      : file_(file), keeper_(keeper), data_plane_(data_plane) {}

  struct Count {
    std::uint64_t writes = 0;
    bool exact = true;  // false: at least so many
    bool open = false;  // still growing: what is saved meanwhile may fall behind
  };

  using Key = std::pair<std::string, std::string>;  // migration, interlay; uuids
  using Counts = std::map<Key, Count>;

  // Reads what was saved. After the keeper has restored its state.
  Status restore();

  // A migration begins, and counts from zero: what was counted before is not its own. One that is
  // tried again after a failure keeps its count. Called before its table is in force.
  //   returns  its counts until then, for take_back()
  Counts begin(const Migration& migration);
  // It did not begin after all: it has its former counts again, and whatever came in meanwhile.
  void take_back(const Counts& former);

  // Credits what was counted since the last time, and saves it if that is anything.
  void sample();
  // As above, again until a pause brings nothing more (at most half a second): for the moment after
  // a table that sends nothing to new has been adopted, when requests planned before it are still
  // being answered. What is answered later still (by a slow new, in a transaction that is open) is
  // credited when it is.
  void settle(const Migration& migration);

  Count count(const Migration& migration) const;
  Count count(const std::string& migration, const std::string& interlay) const;

  // At a clean stop: what is saved now is all there is.
  void save_exactly();

 private:
  bool credit();
  void save(bool at_stop);

  StateFile& file_;
  const Keeper& keeper_;
  const DataPlane& data_plane_;
  mutable std::mutex mutex_;
  Counts counts_;
  std::map<std::string, std::string> owners_;  // by interlay: the migration that began last; uuids
  struct Seen {
    std::uint64_t writes = 0;
    std::uint64_t unsure = 0;
  };
  std::map<std::string, Seen> seen_;  // by id of the interlay: the data plane's own counts
};

}  // namespace crossfade
