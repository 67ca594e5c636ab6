// From ready to running to completed, each step one turn of the keeper. The ways back are in
// conductor_back.cc.
#include "control/service/conductor.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/features.h"
#include "control/json/write.h"
#include "control/service/fewer_keys.h"
#include "control/service/listing.h"
#include "control/service/migration_rules.h"
#include "control/service/migration_steps.h"
#include "control/service/migrations.h"
#include "control/service/right_side.h"
#include "control/service/server_pairs.h"

namespace crossfade {

namespace {

void take_all_along(Keeper::Turn& turn, const std::string& uuid) {
  Migration migration = *turn.next.migrations.at(uuid);
  for (Binding& binding : migration.bindings) binding.taken_back = false;
  put(turn.next.migrations, std::move(migration));
}

void note_force(Keeper::Turn& turn, const std::string& uuid, bool forced) {
  Migration migration = *turn.next.migrations.at(uuid);
  migration.forced = forced;
  put(turn.next.migrations, std::move(migration));
}

std::string how_started(const Migration& migration, const Call& call) {
  std::string how = call.force ? "started by force" : "started";
  if (const auto* window = std::get_if<TimeWindowSpec>(&migration.spec.strategy)) {
    how += "; everything stays on old until " + rfc3339(window->window_start);
  }
  return how;
}

// The first interlay that another migration has got hold of since this one was rolled back.
bool held_by_another(const State& state, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const MigrationPtr holder = migration_of(state, binding.interlay);
    if (holder != nullptr && holder->identity.uuid != migration.identity.uuid) return true;
  }
  return false;
}

bool api_held_by_another(const State& state, const Migration& migration) {
  return std::ranges::any_of(migration.apis, [&](const ApiBinding& part) {
    const MigrationPtr holder = migration_of_api(state, part.api);
    return holder != nullptr && holder->identity.uuid != migration.identity.uuid;
  });
}

Refusal test_failed(const Migration& migration, const std::vector<Check>& checks) {
  return refusal_of("the test of migration '" + migration.identity.id + "' failed", checks);
}

}  // namespace

// The right to start one migration, held by at most one call.
class Conductor::Claim {
 public:
  Claim(Conductor& conductor, const std::string& uuid) : conductor_(conductor), uuid_(uuid) {
    const std::lock_guard held(conductor_.claims_mutex_);
    granted_ = conductor_.claims_.insert(uuid_).second;
  }
  ~Claim() {
    if (!granted_) return;
    const std::lock_guard held(conductor_.claims_mutex_);
    conductor_.claims_.erase(uuid_);
  }
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  bool granted() const { return granted_; }

 private:
  Conductor& conductor_;
  const std::string uuid_;
  bool granted_ = false;
};

// A test by a call. It may take seconds, and a thread of the API: others are to be left for those
// who look, or go back.
class Conductor::Testing {
 public:
  static constexpr int kAtOnce_max = 8;

  explicit Testing(Conductor& conductor)
      : tests_(conductor.tests_), too_many_(++tests_ > kAtOnce_max) {}
  ~Testing() { --tests_; }
  Testing(const Testing&) = delete;
  Testing& operator=(const Testing&) = delete;
  bool too_many() const { return too_many_; }

 private:
  std::atomic<int>& tests_;
  const bool too_many_;
};

Refusal Conductor::too_many_tests() {
  return unavailable(std::to_string(Testing::kAtOnce_max) +
                     " migrations are being tested at this moment: try again in some seconds");
}

std::vector<Check> Conductor::checks_of(const State& state, const Migration& migration) {
  std::vector<Check> checks = preflight(state, migration, keeper_.self(), clock_(), servers_);
  const auto summary = ledger_.summary(migration.identity.uuid);
  const auto object = [&](std::string detail) {
    checks.push_back(
        {.name = "right_side", .interlay = {}, .ok = false, .detail = std::move(detail)});
  };
  if (auto objection = start_objection(migration, summary)) {
    object(std::move(*objection));
  } else if (begins_with_new_right(migration)) {
    const std::string fewer = fewer_keys(state, migration, Side::New, ledger_, servers_);
    if (!fewer.empty()) {
      object(
          "new would be right, and do without what old has: " + fewer +
          ". Start it with the policy old_authoritative, verify it, which copies what new lacks, "
          "then PATCH the policy");
    }
  }
  return checks;
}

Answer Conductor::test(const std::string& reference) {
  const Testing testing(*this);
  if (testing.too_many()) return too_many_tests();
  const StatePtr state = keeper_.state();
  const MigrationPtr migration = find(state->migrations, reference);
  if (migration == nullptr) return not_found(kMigrationWord, reference);
  const std::vector<Check> checks = checks_of(*state, *migration);
  Json rendered = Json::array();
  for (const Check& check : checks) rendered.push(render(check));
  return Reply{.data =
                   Json::object({{"valid", passed(checks)},
                                 {"apis_tested", std::uint64_t{migration->apis.size()}},
                                 {"interlays_tested", std::uint64_t{migration->bindings.size()}},
                                 {"checks", std::move(rendered)}})};
}

Answer Conductor::migrate(const std::string& reference, const Call& call) {
  const StatePtr state = keeper_.state();
  const MigrationPtr seen = find(state->migrations, reference);
  if (seen == nullptr) return not_found(kMigrationWord, reference);
  const Claim claim(*this, seen->identity.uuid);
  if (!claim.granted()) {
    return conflict("Migration '" + seen->identity.id + "' is being started by another call");
  }
  // Paused is resumed, not started: its strategy routes already.
  if (!may_move(seen->status, MigrationStatus::Running) ||
      seen->status == MigrationStatus::Paused) {
    return refuse(forbidden_move(seen->status, MigrationStatus::Running));
  }
  const Testing testing(*this);
  if (testing.too_many()) return too_many_tests();
  // Outside of the turn: asking servers may take seconds, and a rollback elsewhere must not wait.
  const std::vector<Check> checks = checks_of(*state, *seen);
  if (!passed(checks) && !call.force) return test_failed(*seen, checks);
  return start(*seen, call);
}

Answer Conductor::start(const Migration& seen, const Call& call) {
  const std::string& uuid = seen.identity.uuid;
  Keeper::Turn turn = keeper_.begin();
  const auto current = turn.next.migrations.find(uuid);
  if (current == turn.next.migrations.end()) return not_found(kMigrationWord, seen.identity.id);
  // What was tested is what starts.
  if (current->second->identity.version != seen.identity.version) {
    return changed_meanwhile(kMigrationWord, seen.identity.id);
  }
  if (held_by_another(turn.next, seen)) return interlay_held();
  if (api_held_by_another(turn.next, seen)) return api_held();
  // Not by force either: nothing pretends to have moved data.
  if (const Check data = check_data_movement(seen); !data.ok) return test_failed(seen, {data});
  // Nor this: the requests of its apis would go where they should not.
  if (const Check apis = check_apis(turn.next, seen); !apis.ok) return test_failed(seen, {apis});
  // Nor with users that were set since it was defined or ran last.
  if (const auto objection = strategy_objection(turn.next, seen)) return conflict(*objection);
  if (const InterlayDefinition* interlay = settled_interlay(turn.next, seen)) {
    return conflict("Interlay '" + interlay->identity.id + "' stands before the new side already");
  }
  // Another one may have started since this one was tested.
  const std::vector<Check> pairs = pair_checks(turn.next, seen, servers_);
  if (!passed(pairs) && !call.force) return test_failed(seen, pairs);
  const auto* window = std::get_if<TimeWindowSpec>(&seen.spec.strategy);
  if (window != nullptr && clock_() >= window->window_end) {
    return conflict("the window of migration '" + seen.identity.id + "' ended at " +
                    rfc3339(window->window_end) + ": PATCH window_start and window_end");
  }
  set_executed(turn, uuid, false);
  take_all_along(turn, uuid);
  set_status(turn, uuid, MigrationStatus::Running, call.actor, how_started(seen, call));
  note_force(turn, uuid, call.force);
  if (std::holds_alternative<BigBangSpec>(seen.spec.strategy) &&
      all_on_new(turn.next, *turn.next.migrations.at(uuid), keeper_.self())) {
    set_status(turn, uuid, MigrationStatus::Completed, call.actor, "everything is on new");
  }
  const NewOnlyWrites::Counts former = new_only_writes_.begin(seen);
  if (const Status status = keeper_.commit(turn); !status) {
    const bool stands = keeper_.state()->migrations.at(uuid)->status != seen.status;
    if (!stands) new_only_writes_.take_back(former);
    return refuse(status.error());
  }
  return Reply{.data = "migration commit completed",
               .beside = Json::object({{"epoch", keeper_.epoch()}})};
}

Answer Conductor::move(const std::string& reference, const Call& call, MigrationStatus to,
                       const char* reason, const Objection& objection) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  if (!may_move(current->status, to)) return refuse(forbidden_move(current->status, to));
  if (auto refusal = objection(*current)) return *refusal;
  set_status(turn, current->identity.uuid, to, call.actor, reason);
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(current->identity, to);
}

Answer Conductor::moved(const Identity& identity, MigrationStatus to) const {
  return Reply{.data = Json::object({{"id", identity.id},
                                     {"uuid", identity.uuid},
                                     {"status", name_of(to)},
                                     {"epoch", keeper_.epoch()}})};
}

Answer Conductor::pause(const std::string& reference, const Call& call) {
  return move(reference, call, MigrationStatus::Paused, "paused; routing stays as it is",
              [](const Migration&) { return std::optional<Refusal>(); });
}

Answer Conductor::resume(const std::string& reference, const Call& call) {
  return move(reference, call, MigrationStatus::Running, "resumed",
              [](const Migration& migration) -> std::optional<Refusal> {
                // What does not route yet is started by `migrate`, with its tests.
                if (migration.status == MigrationStatus::Paused) return std::nullopt;
                return refuse(forbidden_move(migration.status, MigrationStatus::Running));
              });
}

Answer Conductor::complete(const std::string& reference, const Call& call) {
  // Outside of the turn, as for a start.
  const StatePtr state = keeper_.state();
  const MigrationPtr seen = find(state->migrations, reference);
  if (seen != nullptr && !call.force && may_move(seen->status, MigrationStatus::Completed)) {
    const std::string gone = gone_new(*state, *seen, servers_);
    if (!gone.empty()) {
      return conflict("Migration '" + seen->identity.id + "' is not completed: new is not there (" +
                      gone + "). Roll back, or use ?force=true");
    }
  }
  return move(reference, call, MigrationStatus::Completed, "completed",
              [&](const Migration& migration) { return completion_refusal(migration, call); });
}

std::optional<Refusal> Conductor::completion_refusal(const Migration& migration,
                                                     const Call& call) const {
  const StatePtr state = keeper_.state();
  const std::string forbidden =
      forbidden_move(migration.status, MigrationStatus::Completed).message();
  if (!all_on_new(*state, migration, keeper_.self())) {
    return conflict(forbidden +
                    ": its strategy still sends traffic to old, and completing moves none");
  }
  if (call.force) return std::nullopt;
  const auto summary = ledger_.summary(migration.identity.uuid);
  const auto objection = summary ? completion_objection(*summary) : std::nullopt;
  if (objection) {
    return conflict(forbidden + ": " + *objection +
                    " (GET …/divergence); compare both sides, or complete with ?force=true");
  }
  const std::uint64_t transactions = transactions_on_old(*state, migration);
  if (transactions == 0) return std::nullopt;
  return conflict(
      forbidden + ": " + std::to_string(transactions) +
      " sessions are in the midst of a request or transaction that began on old, and "
      "what they write would be there alone; wait for their end (sessions_staying of GET "
      "…/status), or complete with ?force=true");
}

// Everything is on new, and these are not.
std::uint64_t Conductor::transactions_on_old(const State& state, const Migration& migration) const {
  const Telemetry telemetry = data_plane_.telemetry();
  std::uint64_t sum = 0;
  for (const Binding& binding : migration.bindings) {
    const std::string& id = state.interlays.at(binding.interlay)->identity.id;
    const auto traffic = std::ranges::find(telemetry.interlays, id, &InterlayTraffic::id);
    if (binding.taken_back || traffic == telemetry.interlays.end()) continue;
    sum += traffic->staying[static_cast<std::size_t>(Stay::Transaction)];
  }
  return sum;
}

Answer Conductor::execute(const Migration& seen, const std::string& how) {
  const std::string& uuid = seen.identity.uuid;
  // Outside of the turn, as for a start.
  const std::vector<Check> checks = checks_of(*keeper_.state(), seen);
  const bool reached = std::ranges::none_of(
      checks, [](const Check& check) { return !check.ok && check.name == kNewReachable; });
  // Who forced it did so hours ago: nobody sends everything to a server that is gone.
  if (!passed(checks) && !(seen.forced && reached)) return test_failed(seen, checks);
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return changed_meanwhile(kMigrationWord, seen.identity.id);
  set_executed(turn, uuid, true);
  if (all_on_new(turn.next, *turn.next.migrations.at(uuid), keeper_.self())) {
    set_status(turn, uuid, MigrationStatus::Completed, kOurselves, how + "; everything is on new");
  } else {
    set_status(turn, uuid, seen.status, kOurselves, how);
  }
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(seen.identity, keeper_.state()->migrations.at(uuid)->status);
}

Answer Conductor::step(const Migration& seen, double share) {
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return changed_meanwhile(kMigrationWord, seen.identity.id);
  Migration stepped = seen;
  auto& canary = std::get<CanarySpec>(stepped.spec.strategy);
  turn.journal(seen.identity.uuid, kOurselves, name_of(seen.status), name_of(seen.status),
               "ramp: read_percentage goes from " + to_text(Json(canary.read_percentage)) + " to " +
                   to_text(Json(share)));
  canary.read_percentage = share;
  turn.touch(stepped.identity);
  put(turn.next.migrations, std::move(stepped));
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(seen.identity, seen.status);
}

Answer Conductor::hold(const Migration& seen, const std::string& why, const std::string& actor) {
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return changed_meanwhile(kMigrationWord, seen.identity.id);
  if (!may_move(seen.status, MigrationStatus::Paused)) {
    return refuse(forbidden_move(seen.status, MigrationStatus::Paused));
  }
  set_status(turn, seen.identity.uuid, MigrationStatus::Paused, actor, why);
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return moved(seen.identity, MigrationStatus::Paused);
}

void Conductor::note(const Migration& seen, const std::string& what, const std::string& actor) {
  Keeper::Turn turn = keeper_.begin();
  if (!stands_as(turn.next, seen)) return;
  Migration migration = seen;
  migration.reason = what.substr(0, kReasonMax);  // its version stays: nothing is changed by it
  turn.journal(seen.identity.uuid, actor, name_of(seen.status), name_of(seen.status), what);
  put(turn.next.migrations, std::move(migration));
  if (const Status status = keeper_.make_durable(turn); !status) {
    spdlog::warn("migration {}: {}", seen.identity.id, status.error().message());
    return;
  }
  keeper_.show(turn);
}

}  // namespace crossfade
