// Full verifications: every key of a migration that writes to both sides is looked at on both, each
// migration on a thread of its own, one at a time.
//
// A key that differs is in the ledger, on disk, before more are looked for, and repair settles it
// in its turn. When everything was looked at, nothing differs but what the ledger names: the mark
// "needs full verification" goes, unless a doubt came up meanwhile. A verification that ends early
// takes nothing away; neither it nor its figures outlive the process.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>

#include "control/answer.h"
#include "control/ledger/ledger.h"
#include "control/service/call.h"
#include "control/service/keeper.h"
#include "control/service/servers.h"
#include "control/state.h"
#include "strategies/ports.h"

namespace crossfade {

class Verifications {
 public:
  Verifications(Keeper& keeper, Ledger& ledger, Servers& servers, Verifier verifier)
      : keeper_(keeper), ledger_(ledger), servers_(servers), verifier_(std::move(verifier)) {}
  ~Verifications() { stop(); }
  Verifications(const Verifications&) = delete;
  Verifications& operator=(const Verifications&) = delete;

  // POST …/verify: answers when it has begun.
  Answer start(const std::string& reference, const Call& call);

  // {"state", "started_at", "ended_at", "keys_total", "keys_looked_at", "keys_differing",
  // "keys_only_on_old", "keys_only_on_new", "why"} of a migration's last one, null when there was
  // none in this process.
  Json shown(const std::string& uuid) const;

  // Ends all that run, and returns when they have ended. Nothing may be started afterwards.
  void stop();

 private:
  enum class Stage : std::uint8_t { Running, Complete, Incomplete };
  struct Run {
    std::string uuid;  // of the migration
    std::string id;
    std::string started_at;
    bool forced = false;  // deletes whatever the side that is right does not have
    // mutex_ guards these.
    Stage stage = Stage::Running;
    VerifyCounts past;     // of the interlays before this one
    VerifyCounts current;  // of this one
    std::string ended_at;
    std::string why;      // it is Incomplete
    std::jthread thread;  // last: it uses all the others, and ends first
  };
  class Found;

  static const char* name_of(Stage stage);
  static Json render(const Run& run);
  std::string spared_on_old(const Run& run, std::uint64_t pair, const VerifyCounts& seen) const;
  std::string loss_objection(const State& state, const Migration& migration) const;
  void forget_deleted(const State& state);
  void work(Run& run, const std::stop_token& stop);
  std::string look_at_all(Run& run, const std::stop_token& stop);
  void end(Run& run, std::string why);

  Keeper& keeper_;
  Ledger& ledger_;
  Servers& servers_;
  const Verifier verifier_;
  mutable std::mutex mutex_;  // guards what follows; taken inside of a keeper's turn, never around
  std::map<std::string, std::unique_ptr<Run>> runs_;  // by uuid
};

}  // namespace crossfade
