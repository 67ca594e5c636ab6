// Servers under their names, and migrations that meet at one.
#include "control/service/server_pairs.h"

#include <array>
#include <string>

#include "control/service/endpoints.h"

namespace crossfade {

namespace {

using Sides = std::array<const Endpoint*, 2>;  // old, new

Sides sides_of(const State& state, const Binding& binding) {
  const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
  return {state.endpoints.at(interlay.endpoint).get(), state.endpoints.at(binding.endpoint).get()};
}

// By what the two are known to be one server; null: by nothing.
const char* one_server(const Endpoint& one, const Endpoint& other, const Servers& servers) {
  if (one.address.host == other.address.host && one.address.port == other.address.port) {
    return "the same address";
  }
  const std::string run_id = servers.run_id_of(one);
  if (run_id.empty() || run_id != servers.run_id_of(other)) return nullptr;
  return one.address.kind == EndpointKind::Postgres ? "it began at the same instant"
                                                    : "the same run_id";
}

bool sends_to_both(const StrategySpec& strategy) {
  return dual_writes(strategy) || std::holds_alternative<ShadowTrafficSpec>(strategy);
}

// Both would be in force, and one of them writes to both sides. A completed one is a way to its
// new side like any interlay.
bool may_disturb(const Migration& migration, const Migration& other) {
  const bool in_force = routes(other.status) && other.status != MigrationStatus::Completed;
  return in_force && other.identity.uuid != migration.identity.uuid &&
         (dual_writes(migration.spec.strategy) || writes_both(other));
}

// Of one server. Without a name it is the one that the client names: the same on both sides.
bool same_database(const Endpoint& one, const Endpoint& other) {
  if (one.address.kind == EndpointKind::Redis) return one.address.db == other.address.db;
  return one.address.database == other.address.database || one.address.database.empty() ||
         other.address.database.empty();
}

Check check_distinct(const Sides& sides, const StrategySpec& strategy, const Servers& servers) {
  const char* by = one_server(*sides[0], *sides[1], servers);
  if (by == nullptr) {
    const bool told =
        !servers.run_id_of(*sides[0]).empty() && !servers.run_id_of(*sides[1]).empty();
    return {.name = "distinct",
            .detail = told ? "old and new are different servers"
                           : "old and new are different addresses; not both told who they are, so "
                             "whether they are one server is not known"};
  }
  if (same_database(*sides[0], *sides[1])) {
    return {.name = "distinct",
            .ok = false,
            .detail = std::string("old and new are the same database: ") + by};
  }
  if (sends_to_both(strategy)) {
    return {.name = "distinct",
            .ok = false,
            .detail = std::string("old and new are databases of the same server (") + by +
                      "): what goes to both, in a database that is named by its number or in all "
                      "of them, would be done twice there"};
  }
  return {.name = "distinct", .detail = "old and new are different databases of one server"};
}

// A key in the database of one side only has two names in the ledger and in the order of writes.
Check check_numbers(const Sides& sides) {
  const std::uint32_t old_db = sides[0]->address.db;
  const std::uint32_t new_db = sides[1]->address.db;
  if (old_db == new_db) return {.name = "numbers", .detail = "databases have one number on both"};
  return {.name = "numbers",
          .ok = false,
          .detail = "who selects no database is in " + std::to_string(old_db) + " on old and in " +
                    std::to_string(new_db) +
                    " on new, who names one of the two is in that on both, and keys of these two "
                    "would differ unseen: give both endpoints the same db, or, if no client names "
                    "either number, use ?force=true"};
}

Check meeting(const Migration& other, const Endpoint& theirs, const Endpoint& ours,
              const char* by) {
  return {.name = "alone",
          .ok = false,
          .detail = "migration '" + other.identity.id + "' is in force, and its endpoint '" +
                    theirs.identity.id + "' is the server of endpoint '" + ours.identity.id +
                    "' (" + by +
                    "). Of two migrations on one server neither may write to both sides: each has "
                    "an order of writes and a ledger of its own, so that keys would differ "
                    "unseen. End that one first, give its interlays to this one, or, if no key is "
                    "written through both, use ?force=true"};
}

Check check_alone(const State& state, const Migration& migration, const Sides& sides,
                  const Servers& servers) {
  for (const auto& [uuid, other] : state.migrations) {
    if (!may_disturb(migration, *other)) continue;
    for (const Binding& binding : other->bindings) {
      for (const Endpoint* theirs : sides_of(state, binding)) {
        for (const Endpoint* ours : sides) {
          const char* by = one_server(*ours, *theirs, servers);
          if (by != nullptr) return meeting(*other, *theirs, *ours, by);
        }
      }
    }
  }
  return {.name = "alone", .detail = "no other migration writes to both sides at these servers"};
}

}  // namespace

void ask_who_is_there(const State& state, const Migration& migration, Servers& servers) {
  const auto ask_both = [&](const Migration& one) {
    for (const Binding& binding : one.bindings) {
      for (const Endpoint* endpoint : sides_of(state, binding)) {
        servers.refresh(endpoint->identity.uuid, endpoint->address, kCheckTimeout_ms);
      }
    }
  };
  ask_both(migration);
  for (const auto& [uuid, other] : state.migrations) {
    if (may_disturb(migration, *other)) ask_both(*other);
  }
}

std::vector<Check> pair_checks(const State& state, const Migration& migration,
                               const Servers& servers) {
  std::vector<Check> checks;
  const auto add = [&](const Binding& binding, Check check) {
    check.interlay = state.interlays.at(binding.interlay)->identity.id;
    checks.push_back(std::move(check));
  };
  for (const Binding& binding : migration.bindings) {
    const Sides sides = sides_of(state, binding);
    add(binding, check_distinct(sides, migration.spec.strategy, servers));
    if (engine_of(migration.spec.strategy) == Engine::Effect) add(binding, check_numbers(sides));
    add(binding, check_alone(state, migration, sides, servers));
  }
  return checks;
}

}  // namespace crossfade
