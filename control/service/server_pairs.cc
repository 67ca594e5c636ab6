// Servers under their names, and migrations that meet at one.
#include "control/service/server_pairs.h"

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/endpoint_pair.h"
#include "control/service/endpoints.h"
#include "control/service/one_history.h"
#include "control/side_by_side.h"

namespace crossfade {

namespace {

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

Check check_distinct(const EndpointPair& sides, const StrategySpec& strategy,
                     const Servers& servers) {
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
Check check_numbers(const EndpointPair& sides) {
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

// "endpoint 'a' is the server of endpoint 'b' (the same address)"
std::string one_and_the_other(const Endpoint& one, const Endpoint& other, const char* by) {
  return "endpoint '" + one.identity.id + "' is the server of endpoint '" + other.identity.id +
         "' (" + by + ")";
}

Check meeting(const Migration& other, const Endpoint& theirs, const Endpoint& ours,
              const char* by) {
  return {.name = "alone",
          .ok = false,
          .detail = "migration '" + other.identity.id + "' is in force, and its " +
                    one_and_the_other(theirs, ours, by) +
                    ". Of two migrations on one server neither may write to both sides: each has "
                    "an order of writes and a ledger of its own, so that keys would differ "
                    "unseen. End that one first, give its interlays to this one, or, if no key is "
                    "written through both, use ?force=true"};
}

// What they have in common; empty: all, or nothing.
std::string crossed(const EndpointPair& ours, const EndpointPair& theirs, const Servers& servers) {
  if (one_database(*ours[0], *theirs[0], servers) && one_database(*ours[1], *theirs[1], servers)) {
    return "";
  }
  for (const Endpoint* own : ours) {
    for (const Endpoint* other : theirs) {
      const char* by = one_database(*own, *other, servers);
      if (by != nullptr) return one_and_the_other(*own, *other, by);
    }
  }
  return "";
}

std::string crossed_with(const State& state, const Migration& migration, const Binding& binding,
                         const Servers& servers) {
  for (const Binding& other : migration.bindings) {
    if (other.interlay == binding.interlay) continue;
    std::string how = crossed(sides_of(state, binding), sides_of(state, other), servers);
    if (!how.empty()) {
      return "interlays '" + state.interlays.at(binding.interlay)->identity.id + "' and '" +
             state.interlays.at(other.interlay)->identity.id +
             "' have one server in common: " + how;
    }
  }
  return "";
}

// Where requests of an interlay's clients may go.
std::vector<const Endpoint*> reached_by(const State& state, const InterlayDefinition& interlay,
                                        const std::vector<Binding>& bindings) {
  std::vector<const Endpoint*> reached{state.endpoints.at(interlay.endpoint).get()};
  for (const Binding& binding : bindings) {
    if (binding.interlay == interlay.identity.uuid) {
      reached.push_back(state.endpoints.at(binding.endpoint).get());
    }
  }
  return reached;
}

struct Outsider {
  const InterlayDefinition* interlay = nullptr;  // null: there is none
  const Endpoint* theirs = nullptr;
  const Endpoint* ours = nullptr;
  const char* by = nullptr;

  std::string text() const {
    return "interlay '" + interlay->identity.id +
           "' is none of this migration's, and its clients' requests go to endpoint '" +
           theirs->identity.id + "', the server of endpoint '" + ours->identity.id + "' (" + by +
           ")";
  }
};

// Of all interlays but the migration's own, and those that check_alone looks at.
Outsider outsider(const State& state, const Migration& migration, const Endpoint& ours,
                  const Servers& servers) {
  for (const auto& [uuid, interlay] : state.interlays) {
    std::vector<Binding> in_force;
    bool is_ours = false;
    bool is_looked_at = false;
    for (const auto& [other_uuid, other] : state.migrations) {
      const bool has =
          std::ranges::find(other->bindings, uuid, &Binding::interlay) != other->bindings.end();
      if (!has) continue;
      is_ours = is_ours || other_uuid == migration.identity.uuid;
      is_looked_at = is_looked_at || may_disturb(migration, *other);
      const bool copies = std::holds_alternative<ShadowTrafficSpec>(other->spec.strategy);
      if (routes(other->status) && !copies) in_force = other->bindings;
    }
    if (is_ours || is_looked_at) continue;
    for (const Endpoint* theirs : reached_by(state, *interlay, in_force)) {
      const char* by = one_database(ours, *theirs, servers);
      if (by != nullptr) return {interlay.get(), theirs, &ours, by};
    }
  }
  return {};
}

// Others at a server to which this migration sends what its clients do not ask for. On old they are
// where everybody still is: that is said, and refused by nobody.
Check check_outside(const State& state, const Migration& migration, const EndpointPair& sides,
                    const Servers& servers) {
  const bool both = dual_writes(migration.spec.strategy);
  const Outsider at_new = outsider(state, migration, *sides[1], servers);
  if (at_new.interlay != nullptr) {
    return {.name = "outside",
            .ok = false,
            .detail = at_new.text() +
                      (both ? ". What they write there this migration does not see: keys would "
                              "differ unseen, and verification would delete theirs"
                            : ". Copies would change what they read there") +
                      ". Give this migration a server of its own, or, if they have no key in "
                      "common, use ?force=true"};
  }
  const Outsider at_old = both ? outsider(state, migration, *sides[0], servers) : Outsider{};
  if (at_old.interlay != nullptr) {
    return {.name = "outside",
            .detail = at_old.text() +
                      ": what they write does not go to both sides. Add it to this migration, "
                      "unless its clients write nothing that the others use"};
  }
  return {.name = "outside", .detail = "no other interlay's clients use these servers"};
}

// Writes go to new alone: clients of others who stay on old miss them, and are missed.
Check check_left_behind(const State& state, const Migration& migration, const EndpointPair& sides,
                        const Servers& servers) {
  const Outsider at_old = outsider(state, migration, *sides[0], servers);
  if (at_old.interlay == nullptr) {
    return {.name = "outside", .detail = "no other interlay's clients use this old server"};
  }
  return {.name = "outside",
          .detail = at_old.text() +
                    ": what goes to new they do not see, nor is what they write seen on new. Add "
                    "it to this migration, unless they have no key in common"};
}

// A key's place in the order of writes, and in the ledger, goes by host and port: one server by two
// names would have two of each.
std::string named_otherwise(const State& state, const Migration& migration, const Binding& binding,
                            const Servers& servers) {
  const EndpointPair ours = sides_of(state, binding);
  const std::uint64_t pair = pair_of(ours);
  for (const Binding& there : migration.bindings) {
    const EndpointPair theirs = sides_of(state, there);
    if (pair_of(theirs) == pair) continue;
    const char* by = one_server(*ours[0], *theirs[0], servers);
    if (by == nullptr || one_server(*ours[1], *theirs[1], servers) == nullptr) continue;
    return "interlays '" + state.interlays.at(binding.interlay)->identity.id + "' and '" +
           state.interlays.at(there.interlay)->identity.id +
           "' stand between the same two servers (" + by +
           "), by other addresses: writes of one would not wait for those of the other. Give their "
           "endpoints the same host and port";
  }
  return "";
}

Check check_alone(const State& state, const Migration& migration, const Binding& binding,
                  const Servers& servers) {
  const EndpointPair sides = sides_of(state, binding);
  const std::string how =
      dual_writes(migration.spec.strategy) ? crossed_with(state, migration, binding, servers) : "";
  if (!how.empty()) {
    return {.name = "alone",
            .ok = false,
            .detail = how +
                      ". Where writes go to both sides, each of the two keeps from the other what "
                      "it writes there, and verification would delete what the other one has "
                      "brought. Move one after the other, without dual writes, or to servers of "
                      "their own"};
  }
  if (dual_writes(migration.spec.strategy)) {
    std::string names = named_otherwise(state, migration, binding, servers);
    if (!names.empty()) return {.name = "alone", .ok = false, .detail = std::move(names)};
  }
  for (const auto& [uuid, other] : state.migrations) {
    if (!may_disturb(migration, *other)) continue;
    for (const Binding& there : other->bindings) {
      for (const Endpoint* theirs : sides_of(state, there)) {
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

const char* one_database(const Endpoint& one, const Endpoint& other, const Servers& servers) {
  const bool apart = one.address.kind == EndpointKind::Postgres && !same_database(one, other);
  return apart ? nullptr : one_server(one, other, servers);
}

void ask_who_is_there(const State& state, const Migration& migration, Servers& servers) {
  std::set<const Endpoint*> all;
  const auto add_both = [&](const Migration& one) {
    for (const Binding& binding : one.bindings) {
      for (const Endpoint* endpoint : sides_of(state, binding)) all.insert(endpoint);
    }
  };
  add_both(migration);
  for (const auto& [uuid, other] : state.migrations) {
    if (may_disturb(migration, *other)) add_both(*other);
  }
  const std::vector<const Endpoint*> each(all.begin(), all.end());
  side_by_side(each.size(), [&](std::size_t i) {
    servers.refresh(each[i]->identity.uuid, each[i]->address, kCheckTimeout_ms);
  });
}

std::vector<Check> pair_checks(const State& state, const Migration& migration,
                               const Servers& servers) {
  std::vector<Check> checks;
  const auto add = [&](const Binding& binding, Check check) {
    check.interlay = state.interlays.at(binding.interlay)->identity.id;
    checks.push_back(std::move(check));
  };
  for (const Binding& binding : migration.bindings) {
    const EndpointPair sides = sides_of(state, binding);
    add(binding, check_distinct(sides, migration.spec.strategy, servers));
    if (engine_of(migration.spec.strategy) == Engine::Effect) add(binding, check_numbers(sides));
    add(binding, check_alone(state, migration, binding, servers));
    if (sends_to_both(migration.spec.strategy)) {
      add(binding, check_outside(state, migration, sides, servers));
    } else if (moves_writes(migration.spec.strategy)) {
      add(binding, check_left_behind(state, migration, sides, servers));
    }
    if (auto check = check_one_history(state, migration, binding, servers)) {
      add(binding, std::move(*check));
    }
  }
  return checks;
}

std::string strangers_to_verification(const State& state, const Migration& migration,
                                      const Servers& servers) {
  for (const Binding& binding : migration.bindings) {
    std::string how = crossed_with(state, migration, binding, servers);
    if (!how.empty()) return how + ". What one of them brings the other would delete";
    const Side right = authority_of(migration.spec.strategy).value_or(Side::Old);
    const Endpoint& wrong = *sides_of(state, binding)[right == Side::Old ? 1 : 0];
    const Outsider found = outsider(state, migration, wrong, servers);
    if (found.interlay != nullptr) {
      return found.text() + ". What they have written there would be deleted";
    }
  }
  return "";
}

}  // namespace crossfade
