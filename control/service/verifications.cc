// Beginning, watching and ending verifications; looking at the keys is the Verifier's.
#include "control/service/verifications.h"

#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <utility>
#include <vector>

#include "control/background.h"
#include "control/definitions/identity.h"
#include "control/endpoint_pair.h"
#include "control/service/endpoints.h"
#include "control/service/fewer_keys.h"
#include "control/service/migrations.h"
#include "control/service/right_side.h"
#include "control/service/server_pairs.h"
#include "strategies/migration.h"

namespace crossfade {

namespace {

constexpr std::size_t kNotedAtOnce = 256;  // keys that wait to be put in the ledger together
// A side that lacks less than so many of the other's keys may owe that to the moment of counting.

constexpr const char* kStopped = "the sidecar stops";
constexpr const char* kOneSide = "the migration writes to both sides no longer";
constexpr const char* kNotKept = "the ledger could not be written";
constexpr const char* kDoubted =
    "keys came into doubt meanwhile that it may not have seen: verify again";

MigrationPtr writing_both(const State& state, const std::string& uuid) {
  const auto found = state.migrations.find(uuid);
  if (found == state.migrations.end() || !writes_both(*found->second)) return nullptr;
  return found->second;
}

Refusal cannot_verify(const Migration& migration) {
  if (!routes(migration.status)) {
    return conflict(std::string("Cannot verify migration in status: ") +
                    title_of(migration.status));
  }
  if (writes_both_by(migration, Engine::Statement)) {
    return conflict("Cannot verify migration '" + migration.identity.id +
                    "': this version verifies Redis only; compare the tables by other means");
  }
  return conflict("Cannot verify migration '" + migration.identity.id +
                  "': its strategy does not write to both sides");
}

VerifyCounts sum(const VerifyCounts& one, const VerifyCounts& other) {
  VerifyCounts both;
  both.total = one.total + other.total;
  both.looked_at = one.looked_at + other.looked_at;
  both.differing = one.differing + other.differing;
  for (std::size_t side = 0; side < kSides; ++side) {
    both.only_there[side] = one.only_there[side] + other.only_there[side];
  }
  both.expiries_unknown = one.expiries_unknown + other.expiries_unknown;
  return both;
}

//   right  the side that decides now; nullopt: none does any more
std::string sentence(const VerifyCounts& counts, std::optional<Side> right,
                     const std::string& why) {
  if (!why.empty()) return "full verification not complete: " + why;
  std::string said = "full verification complete: " + std::to_string(counts.differing) +
                     " keys differed and were put in the ledger";
  if (right) {
    const Side beside = other(*right);
    const std::uint64_t only = counts.only_there[static_cast<std::size_t>(beside)];
    if (only > 0) {
      said += "; " + std::to_string(only) + " of them are on " + name_of(beside) +
              " only, and are deleted there, as " + name_of(*right) + " is right";
    }
  }
  if (counts.expiries_unknown > 0) {
    said += "; the expiries of " + std::to_string(counts.expiries_unknown) +
            " keys are more than are remembered";
  }
  return said;
}

}  // namespace

// Keys that differ, on their way to the ledger.
class Verifications::Found {
 public:
  Found(const Keeper& keeper, Ledger& ledger, const Run& run)
      : keeper_(keeper), ledger_(ledger), run_(run) {}

  // Not empty: why nothing can be put in the ledger any more.
  const std::string& failure() const { return failure_; }

  void add(SuspectKey at) {
    keys_.push_back(std::move(at));
    if (keys_.size() >= kNotedAtOnce) flush();
  }

  // They are on disk when this returns, or there is a failure.
  void flush() {
    std::vector<SuspectKey> keys = std::exchange(keys_, {});
    if (keys.empty() || !failure_.empty()) return;
    const MigrationPtr migration = writing_both(*keeper_.state(), run_.uuid);
    const auto right = migration == nullptr ? std::nullopt : authority_of(migration->spec.strategy);
    if (!right) {
      failure_ = kOneSide;
      return;
    }
    std::vector<Suspect> suspects;
    suspects.reserve(keys.size());
    for (SuspectKey& at : keys) suspects.push_back({std::move(at), Doubt::Verify, *right});
    std::promise<bool> promise;
    const bool on_disk =
        ledger_.note(run_.id, suspects, [&](bool durable) { promise.set_value(durable); });
    if (!on_disk && !promise.get_future().get()) failure_ = kNotKept;
  }

 private:
  const Keeper& keeper_;
  Ledger& ledger_;
  const Run& run_;
  std::vector<SuspectKey> keys_;
  std::string failure_;
};

const char* Verifications::name_of(Stage stage) {
  switch (stage) {
    case Stage::Running:
      return "running";
    case Stage::Complete:
      return "complete";
    case Stage::Incomplete:
      return "incomplete";
  }
  return "incomplete";
}

Json Verifications::render(const Run& run) {
  const VerifyCounts counts = sum(run.past, run.current);
  return Json::object({{"state", name_of(run.stage)},
                       {"started_at", run.started_at},
                       {"ended_at", run.ended_at.empty() ? Json() : Json(run.ended_at)},
                       {"keys_total", counts.total},
                       {"keys_looked_at", counts.looked_at},
                       {"keys_differing", counts.differing},
                       {"keys_only_on_old", counts.only_there[0]},
                       {"keys_only_on_new", counts.only_there[1]},
                       {"why", run.why.empty() ? Json() : Json(run.why)}});
}

// The side that is right has fewer keys than the other, and would have these deleted there, which
// may be the last to have them. Empty: it has not. Asks servers.
std::string Verifications::loss_objection(const State& state, const Migration& migration) const {
  const auto summary = ledger_.summary(migration.identity.uuid);
  const auto right = authority_of(migration.spec.strategy);
  if (!right) return {};
  const std::string fewer = fewer_keys(state, migration, *right, ledger_, servers_);
  if (fewer.empty()) return {};
  const std::string lost = summary ? what_was_lost(*right, *summary) : std::string();
  const std::string side = crossfade::name_of(*right);
  const std::string beside = crossfade::name_of(other(*right));
  return (lost.empty() ? "" : lost + ". ") + fewer + ": as " + side +
         " is right, a verification would have what it lacks deleted on " + beside + ". If " +
         side + " has lost it, make " + beside + " right first (strategy.write_mode.policy" +
         (lost.empty() ? ", by force" : "") + "), and verify then";
}

// Why keys of old that new does not have are not deleted; empty: they are few, or the ledger knows
// of as many.
std::string Verifications::spared_on_old(const Run& run, std::uint64_t pair,
                                         const VerifyCounts& seen) const {
  const std::uint64_t suspected = ledger_.entries_at(run.uuid, pair);
  const std::uint64_t only = seen.only_there[static_cast<std::size_t>(Side::Old)];
  if (only <= suspected + seen.total / kSides / kFewerBy) return {};
  return std::to_string(only) +
         " keys are on old only, and would be deleted there, as new is right: nothing was changed. "
         "If new is to have them, make old right (strategy.write_mode.policy, by force where the "
         "ledger has doubts), and verify then; if they are to go, verify with ?force=true";
}

Answer Verifications::start(const std::string& reference, const Call& call) {
  if (const StatePtr state = keeper_.state(); !call.force) {
    const MigrationPtr migration = find(state->migrations, reference);
    const bool both = migration != nullptr && writes_both_by(*migration, Engine::Effect);
    const std::string loss = both ? loss_objection(*state, *migration) : std::string();
    if (!loss.empty()) {
      return conflict("Migration '" + migration->identity.id + "' is not verified: " + loss +
                      ". If these keys are to go, use ?force=true");
    }
  }
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr migration = find(turn.next.migrations, reference);
  if (migration == nullptr) return not_found(kMigrationWord, reference);
  if (!writes_both_by(*migration, Engine::Effect)) return cannot_verify(*migration);
  const Identity& identity = migration->identity;
  const std::string strangers = strangers_to_verification(turn.next, *migration, servers_);
  if (!strangers.empty() && !call.force) {
    return conflict("Migration '" + identity.id + "' is not verified: " + strangers +
                    ". If that is what you want, use ?force=true");
  }
  const std::lock_guard held(mutex_);
  std::unique_ptr<Run>& place = runs_[identity.uuid];
  if (place != nullptr && place->stage == Stage::Running) {
    return conflict("Migration '" + identity.id + "' is being verified already");
  }
  const char* const status = crossfade::name_of(migration->status);
  turn.journal(identity.uuid, call.actor, status, status, "full verification started");
  if (const Status committed = keeper_.commit(turn); !committed) return refuse(committed.error());
  place = std::make_unique<Run>();
  Run& run = *place;
  run.uuid = identity.uuid;
  run.id = identity.id;
  run.started_at = now_rfc3339();
  run.forced = call.force;
  Json data =
      Json::object({{"id", identity.id}, {"uuid", identity.uuid}, {"verification", render(run)}});
  run.thread = std::jthread([this, &run](const std::stop_token& stop) {
    give_way();
    work(run, stop);
  });
  forget_deleted(turn.next);
  return Reply{.data = std::move(data)};
}

Json Verifications::shown(const std::string& uuid) const {
  const std::lock_guard held(mutex_);
  const auto found = runs_.find(uuid);
  return found == runs_.end() || found->second == nullptr ? Json() : render(*found->second);
}

void Verifications::stop() {
  std::vector<Run*> running;
  {
    const std::lock_guard held(mutex_);
    for (const auto& [uuid, run] : runs_) {
      if (run == nullptr) continue;
      run->thread.request_stop();
      running.push_back(run.get());
    }
  }
  for (Run* run : running) {
    if (run->thread.joinable()) run->thread.join();
  }
}

// Those of migrations that are gone; with the mutex held.
void Verifications::forget_deleted(const State& state) {
  std::erase_if(runs_, [&](const auto& one) {
    const bool ended = one.second == nullptr || one.second->stage != Stage::Running;
    return ended && !state.migrations.contains(one.first);
  });
}

void Verifications::work(Run& run, const std::stop_token& stop) {
  const std::uint64_t doubts = ledger_.begin_verification(run.id);
  std::string why;
  try {
    why = look_at_all(run, stop);
  } catch (const std::exception& error) {  // no memory
    why = error.what();
  }
  if (why.empty() && !ledger_.verified(run.id, doubts)) why = kDoubted;
  ledger_.end_verification(run.id);
  end(run, std::move(why));
}

// Empty: everything was looked at, and what differs is in the ledger. A pair of servers that is not
// complete keeps none of the others from being looked at.
std::string Verifications::look_at_all(Run& run, const std::stop_token& stop) {
  const MigrationPtr migration = writing_both(*keeper_.state(), run.uuid);
  if (migration == nullptr) return kOneSide;
  Found found(keeper_, ledger_, run);
  std::stop_source early;
  const std::stop_callback at_end(stop, [&early] { early.request_stop(); });
  const auto still_useful = [&] {
    return found.failure().empty() && writing_both(*keeper_.state(), run.uuid) != nullptr;
  };
  const auto reason = [&](const std::string& otherwise) -> std::string {
    if (stop.stop_requested()) return kStopped;
    if (!found.failure().empty()) return found.failure();
    return writing_both(*keeper_.state(), run.uuid) == nullptr ? kOneSide : otherwise;
  };
  std::string incomplete;
  for (const Binding& binding : migration->bindings) {
    const StatePtr state = keeper_.state();
    const auto interlay = state->interlays.find(binding.interlay);
    if (interlay == state->interlays.end()) return kOneSide;
    const EndpointPair sides = sides_of(*state, binding);
    const std::uint64_t pair = pair_of(sides);
    const auto look = [&](const std::function<void(SuspectKey)>& use) {
      return verifier_.redis(
          sides[0]->address, sides[1]->address, use,
          [&](const VerifyCounts& now) {
            if (!still_useful()) early.request_stop();
            const std::lock_guard held(mutex_);
            run.current = now;
          },
          early.get_token());
    };
    // Old had all before the migration: what it alone has is counted before any of it goes.
    std::string spared;
    if (!run.forced && authority_of(migration->spec.strategy) == Side::New) {
      spared = spared_on_old(run, pair, look([](const SuspectKey&) {}));
    }
    VerifyCounts counts;
    if (spared.empty()) {
      counts = look([&](SuspectKey at) {
        at.pair = pair;
        found.add(std::move(at));
      });
    } else {
      counts.why = std::move(spared);
    }
    found.flush();
    {
      const std::lock_guard held(mutex_);
      run.past = sum(run.past, counts);
      run.current = VerifyCounts();
    }
    if (stop.stop_requested() || !still_useful()) return reason(counts.why);
    if (counts.complete) continue;
    if (!incomplete.empty()) incomplete += "; ";
    const bool one_of_many = migration->bindings.size() > 1;
    if (one_of_many) incomplete += "interlay '" + interlay->second->identity.id + "': ";
    incomplete += counts.why;
  }
  return incomplete;
}

void Verifications::end(Run& run, std::string why) {
  {
    Keeper::Turn turn = keeper_.begin();
    const auto migration = turn.next.migrations.find(run.uuid);
    if (migration != turn.next.migrations.end()) {
      const char* const status = crossfade::name_of(migration->second->status);
      const auto right = authority_of(migration->second->spec.strategy);
      turn.journal(run.uuid, kOurselves, status, status, sentence(run.past, right, why));
      // What it has found stands, whether or not its line in the journal does.
      static_cast<void>(keeper_.commit(turn));
    }
  }
  const std::lock_guard held(mutex_);
  run.stage = why.empty() ? Stage::Complete : Stage::Incomplete;
  run.ended_at = now_rfc3339();
  run.why = std::move(why);
}

}  // namespace crossfade
