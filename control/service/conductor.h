// Sets migrations going, holds them, ends them, and takes them back.
//
// Every step is a turn of the keeper: journalled, durable, and in force on every loop before the
// call answers.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/answer.h"
#include "control/clock.h"
#include "control/ledger/ledger.h"
#include "control/service/call.h"
#include "control/service/keeper.h"
#include "control/service/new_only_writes.h"
#include "control/service/preflight.h"
#include "control/service/servers.h"
#include "strategies/ports.h"

namespace crossfade {

class Conductor {
 public:
  Conductor(Keeper& keeper, Servers& servers, NewOnlyWrites& new_only_writes, Ledger& ledger,
            const DataPlane& data_plane, Clock clock = system_clock())
      : keeper_(keeper),
        servers_(servers),
        new_only_writes_(new_only_writes),
        ledger_(ledger),
        data_plane_(data_plane),
        clock_(std::move(clock)) {}

  // Checks everything, changes nothing.
  Answer test(const std::string& reference);

  // Claims the start (of two calls one goes on), tests, and puts the strategy in force.
  Answer migrate(const std::string& reference, const Call& call);

  // Routing stays as it is; what would go on by itself stands still.
  Answer pause(const std::string& reference, const Call& call);
  Answer resume(const std::string& reference, const Call& call);
  // Only once everything goes to new: ending a migration moves no traffic. By force only while
  // transactions are open on old, or new may lack what old has.
  Answer complete(const std::string& reference, const Call& call);

  // Everything to old. The answer says how many writes are on new only. Traffic goes back though
  // the store refuses it: that is answered as Unavailable, with what is so beside it, as often as
  // it is called until it is stored.
  Answer rollback(const std::string& reference, const Call& call);
  // Before the start: ends the migration. After it: as rollback.
  Answer cancel(const std::string& reference, const Call& call);

  // By themselves, each for a running migration as it was seen: refused when it has changed since.
  // Tests, and sends everything to new.
  Answer execute(const Migration& seen, const std::string& how);
  // Everything to old, and why; goes on with what was begun.
  Answer take_back(const Migration& seen, const std::string& why,
                   const std::string& actor = kOurselves);
  // One of its interlays (uuid) to old, and why; the others go on.
  Answer take_back_interlay(const Migration& seen, const std::string& interlay,
                            const std::string& why, const std::string& actor);
  // As pause().
  Answer hold(const Migration& seen, const std::string& why, const std::string& actor);
  // A canary's share of reads becomes that one.
  Answer step(const Migration& seen, double share);
  // A line for the journal.
  void note(const Migration& seen, const std::string& what, const std::string& actor = kOurselves);

  // At boot, after the table is published: ends the rollbacks that a crash interrupted.
  void finish_rollbacks();

 private:
  class Claim;
  class Testing;
  static Refusal too_many_tests();
  static constexpr const char* kRollback = "rollback: everything to old";
  // `objection` may refuse what the lifecycle would allow.
  using Objection = std::function<std::optional<Refusal>(const Migration& migration)>;
  Answer move(const std::string& reference, const Call& call, MigrationStatus to,
              const char* reason, const Objection& objection);
  Answer moved(const Identity& identity, MigrationStatus to) const;
  std::vector<Check> checks_of(const State& state, const Migration& migration);
  std::optional<Refusal> completion_refusal(const Migration& migration, const Call& call) const;
  std::uint64_t transactions_on_old(const State& state, const Migration& migration) const;
  Answer start(const Migration& seen, const Call& call);
  Answer roll_back(Keeper::Turn& turn, const Migration& migration, const std::string& actor,
                   const std::string& why = kRollback);
  Answer end_rollback(Keeper::Turn& turn, const std::string& uuid, const std::string& actor);
  Answer rolled_back(const std::string& uuid, const NewOnlyWrites::Count& count,
                     const std::string& sentence) const;
  std::optional<Keeper::Unstored> came_back_unstored(const Migration& before);

  Keeper& keeper_;
  Servers& servers_;
  NewOnlyWrites& new_only_writes_;
  Ledger& ledger_;
  const DataPlane& data_plane_;
  const Clock clock_;
  std::mutex claims_mutex_;
  std::set<std::string> claims_;  // uuids of migrations that are being started
  std::atomic<int> tests_ = 0;    // by calls, under way
};

}  // namespace crossfade
