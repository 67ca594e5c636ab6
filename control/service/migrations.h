// Control calls on migrations: what they are, and what is in them.
//
// What sets one going, and stops it, is in conductor.h.
#pragma once

#include <string>

#include "control/answer.h"
#include "control/ledger/ledger.h"
#include "control/service/call.h"
#include "control/service/guard.h"
#include "control/service/interlays.h"
#include "control/service/keeper.h"
#include "control/service/new_only_writes.h"
#include "control/service/servers.h"
#include "control/service/verifications.h"
#include "control/store/store.h"

namespace crossfade {

class Migrations {
 public:
  Migrations(Keeper& keeper, Store& store, const Interlays& interlays,
             NewOnlyWrites& new_only_writes, Ledger& ledger, const Verifications& verifications,
             Servers& servers, const DataPlane& data_plane, const Guard& guard)
      : keeper_(keeper),
        store_(store),
        interlays_(interlays),
        new_only_writes_(new_only_writes),
        ledger_(ledger),
        verifications_(verifications),
        servers_(servers),
        data_plane_(data_plane),
        guard_(guard) {}

  Answer list(const Call& call) const;
  Answer get(const std::string& reference, const Call& call) const;
  Answer create(const Json& body, const Call& call);
  // While the migration routes, a change of its strategy is in force when this returns; one that
  // begins to write to both sides asks first who the servers are.
  Answer patch(const std::string& reference, const Json& body, const Call& call);
  // Refused while the migration moves traffic. What a completed one has moved stays: its interlays
  // then stand before what was the new side.
  Answer remove(const std::string& reference, const Call& call);

  Answer add_interlay(const std::string& reference, const std::string& interlay, const Json& body,
                      const Call& call);
  Answer add_api(const std::string& reference, const std::string& api, const Json& body,
                 const Call& call);
  // All of them, while it routes, too: its interlays go on as a whole.
  Answer remove_apis(const std::string& reference, const Call& call);

  Answer status(const std::string& reference) const;                    // progress, with figures
  Answer events(const std::string& reference, const Call& call) const;  // journal

 private:
  // What servers were asked for a PATCH, and say against it. Empty: nothing.
  struct Asked {
    std::uint64_t version = 0;  // of the migration that it is said of
    bool flips = false;         // all traffic would go to new from now on
    bool hands_over = false;    // new would be right, or answer alone
    std::string gone = {};      // the new that is not there, of either
    std::string fewer = {};     // that new has fewer keys than old, and takes over from it
    std::string more = {};      // that it has more, and would be right
  };
  struct Handover {
    StatePtr state;       // with it in force
    MigrationPtr former;  // as it was before; null: new has not taken over
  };
  static Asked to_ask(const Migration& current, const MigrationSpec& patched, const Self& self,
                      const std::optional<Ledger::Summary>& summary);
  // Why apis are not taken out of a migration by which new would then answer for all keys: it is
  // not there, or has fewer of them.
  std::string objection_without_apis(const State& state, const Migration& migration);
  void note_doubts(const Migration& former, const MigrationSpec& next);
  //   handover  is set where new has taken over
  Answer patch_in_turn(const std::string& reference, const Json& body, const Call& call,
                       const Asked& asked, Handover& handover);
  Asked ask_before_patch(const std::string& reference, const Json& body, bool force);
  NewOnlyWrites::Count count_on_new_alone(const Migration& migration, const MigrationSpec& patched);
  std::string lasting_etag(const Migration& migration) const;
  Json shown(const State& state, const Migration& migration, bool verbose) const;

  Keeper& keeper_;
  Store& store_;
  const Interlays& interlays_;
  NewOnlyWrites& new_only_writes_;
  Ledger& ledger_;
  const Verifications& verifications_;
  Servers& servers_;
  const DataPlane& data_plane_;
  const Guard& guard_;
};

inline constexpr const char* kMigrationWord = "Migration";

}  // namespace crossfade
