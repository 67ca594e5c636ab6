// Routes from definitions.
#include "control/table_builder.h"

#include <algorithm>
#include <cassert>

#include "control/api_entries.h"
#include "control/api_rules.h"
#include "control/features.h"
#include "protocols/redis/key_user.h"
#include "strategies/api_keys.h"
#include "strategies/api_set.h"
#include "strategies/server_pair.h"
#include "strategies/sql_api_set.h"
#include "strategies/sql_user_fields.h"
#include "strategies/user_fields.h"

namespace crossfade {

namespace {

// What was loaded counts, too: it is what a loop begins handshakes with.
bool same_ends(const InterlayRoute& one, const InterlayRoute& other) {
  const auto end_of = [](const std::optional<EndpointAddress>& side) {
    return side ? side->tls.end.get() : nullptr;
  };
  return one.tls.end == other.tls.end && one.old_side.tls.end == other.old_side.tls.end &&
         end_of(one.new_side) == end_of(other.new_side);
}

bool same_route(const InterlayRoute& one, const InterlayRoute& other) {
  return one.id == other.id && one.uuid == other.uuid && one.old_side == other.old_side &&
         one.new_side == other.new_side && one.strategy == other.strategy &&
         one.migration == other.migration && one.apis == other.apis &&
         one.api_keys == other.api_keys && one.sql_apis == other.sql_apis &&
         one.user == other.user && one.user_fields == other.user_fields &&
         one.sql_user_fields == other.sql_user_fields && one.commands == other.commands &&
         one.catalog == other.catalog && one.catalog_database == other.catalog_database &&
         one.settings == other.settings && one.tls == other.tls && one.login == other.login &&
         one.networks == other.networks && same_ends(one, other);
}

// What has been called complete stays on new, whoever and wherever this sidecar says it is when it
// starts again.
Strategy in_force(const Migration& migration, const Self& self) {
  Strategy strategy = to_strategy(migration.spec.strategy, self);
  if (migration.status != MigrationStatus::Completed) return strategy;
  if (auto* rolling = std::get_if<RollingUpdate>(&strategy)) rolling->here_migrated = true;
  if (auto* geographic = std::get_if<Geographic>(&strategy)) geographic->region_migrated = true;
  return strategy;
}

// Made only where it differs from that of the table before, as an ApiSet.
//   place  where routes have it
template <class AnyFields>
std::shared_ptr<const AnyFields> user_fields_of(
    const State& state, const InterlayDefinition& interlay, const std::string& name,
    const Table* previous, std::shared_ptr<const AnyFields> InterlayRoute::*place) {
  std::vector<std::string> queries;
  for (const ApiPtr& api : in_order(state)) {
    if (endpoint_of(state, api->spec) != interlay.endpoint) continue;
    for (const TemplateBinding& own : api->spec.bindings) {
      queries.push_back(state.templates.at(own.template_ref)->spec.query);
    }
  }
  if (previous != nullptr) {
    for (const InterlayRoutePtr& old : previous->interlays) {
      const auto& former = (*old).*place;
      if (former && former->name() == name && former->queries() == queries) return former;
    }
  }
  return std::make_shared<const AnyFields>(name, std::move(queries));
}

// By whom the strategy splits, if it does so by users.
void tell_users_apart(InterlayRoute& route, const State& state, const InterlayDefinition& interlay,
                      const Table* previous) {
  auto* canary = std::get_if<Canary>(&*route.strategy);
  auto* flag = std::get_if<FeatureFlag>(&*route.strategy);
  if (flag != nullptr) {
    route.user = user_of(route.old_side.kind, interlay.user);
  } else if (canary != nullptr && canary->split_by == SplitBy::User) {
    route.user = interlay.user.value_or(UserSource{});
  } else {
    return;
  }
  const bool by_key = route.user.from == UserFrom::Key;
  (flag != nullptr ? flag->split_by : canary->split_by) = by_key ? SplitBy::Key : SplitBy::User;
  if (route.user.from == UserFrom::Field) {
    const auto make = [&](auto place) {
      route.*place = user_fields_of(state, interlay, route.user.name, previous, place);
    };
    if (route.old_side.kind == EndpointKind::Redis) make(&InterlayRoute::user_fields);
    if (route.old_side.kind == EndpointKind::Postgres) make(&InterlayRoute::sql_user_fields);
  }
  if (!by_key || route.user.pattern.empty()) return;
  auto read = redis::KeyUser::read(route.user.pattern);
  assert(read);
  route.key_user = std::make_shared<const redis::KeyUser>(std::move(*read));
}

// Clients whose networks say otherwise than where the sidecar is have a route of their own: its
// strategy, if there are any.
std::optional<Geographic> tell_regions_apart(InterlayRoute& route, const Migration& migration,
                                             const Regions& regions) {
  const auto* here = std::get_if<Geographic>(&*route.strategy);
  if (here == nullptr || migration.status == MigrationStatus::Completed) return std::nullopt;
  std::vector<RegionNetwork> networks = networks_of(migration.spec.strategy, regions);
  const bool alike = std::ranges::all_of(
      networks, [&](const RegionNetwork& one) { return one.migrated == here->region_migrated; });
  if (alike) return std::nullopt;
  Geographic there = *here;
  there.region_migrated = !there.region_migrated;
  route.region_migrated = here->region_migrated;
  route.networks = std::move(networks);
  return there;
}

// Made only where it differs from that of the table before: a thousand templates take milliseconds.
//   place  where routes have it
template <class Set>
std::shared_ptr<const Set> set_of(std::vector<ApiSet::Entry> entries, const Table* previous,
                                  std::shared_ptr<const Set> InterlayRoute::*place) {
  if (previous != nullptr) {
    for (const InterlayRoutePtr& old : previous->interlays) {
      const auto& former = (*old).*place;
      if (former && former->entries() == entries) return former;
    }
  }
  return std::make_shared<const Set>(std::move(entries));
}

// As it is while nobody takes part: old answers, and what is written to both sides still is.
Canary of_nobody(const Strategy& strategy) {
  Canary nobody{.read_share = 0, .write_mode = std::nullopt};
  if (dual_write_authority(strategy)) {
    nobody.write_mode = std::visit([](const auto& one) { return one.write_mode; }, strategy);
  }
  return nobody;
}

// What the strategy has no say in stays.
void route_by_api(InterlayRoute& route, const State& state, const Migration& migration,
                  const std::string& endpoint, const Table* previous) {
  const Governed governed = governed_at(state, migration, endpoint);
  if (governed == Governed::All) return;
  if (governed == Governed::None) {
    route.strategy = of_nobody(*route.strategy);
    return;
  }
  std::vector<ApiSet::Entry> entries = api_entries(state, migration, endpoint);
  if (route.old_side.kind == EndpointKind::Postgres) {
    route.sql_apis = set_of(std::move(entries), previous, &InterlayRoute::sql_apis);
    return;
  }
  if (!moves_writes(migration.spec.strategy)) {
    route.apis = set_of(std::move(entries), previous, &InterlayRoute::apis);
    return;
  }
  route.api_keys = set_of(std::move(entries), previous, &InterlayRoute::api_keys);
  route.strategy = of_part(*route.strategy);
}

InterlayRoute build_route(const State& state, const InterlayDefinition& interlay,
                          const InterlaySettings& defaults, const Self& self,
                          const Learned& learned, const Table* previous) {
  const auto endpoint = state.endpoints.find(interlay.endpoint);
  assert(endpoint != state.endpoints.end());
  CatalogOfDatabase names = learned.catalog_of(interlay, *endpoint->second);
  InterlayRoute route{.id = interlay.identity.id,
                      .uuid = interlay.identity.uuid,
                      .old_side = endpoint->second->address,
                      .new_side = std::nullopt,
                      .strategy = std::nullopt,
                      .migration = {},
                      .commands = learned.commands_of(*endpoint->second),
                      .catalog = std::move(names.catalog),
                      .catalog_database = std::move(names.database),
                      .settings = overridden(defaults, interlay.settings),
                      .tls = interlay.tls,
                      .login = interlay.login,
                      .mock_secret = interlay.mock_secret};
  const MigrationPtr migration = migration_of(state, interlay.identity.uuid);
  if (migration == nullptr || !routes(migration->status)) return route;
  const Binding& binding = *binding_of(*migration, interlay.identity.uuid);
  if (binding.taken_back) return route;
  const auto target = state.endpoints.find(binding.endpoint);
  assert(target != state.endpoints.end());
  route.new_side = target->second->address;
  route.strategy = in_force(*migration, at_interlay(state, interlay, self));
  route.migration = migration->identity.id;
  route.pair = pair_of(route.old_side, *route.new_side);
  tell_users_apart(route, state, interlay, previous);
  const auto elsewhere = tell_regions_apart(route, *migration, interlay.regions);
  if (elsewhere) {
    InterlayRoute there = route;
    there.networks.clear();
    there.strategy = *elsewhere;
    route_by_api(there, state, *migration, interlay.endpoint, previous);
    route.elsewhere = std::make_shared<const InterlayRoute>(std::move(there));
  }
  route_by_api(route, state, *migration, interlay.endpoint, previous);
  return route;
}

// The previous route of that interlay if it is still right, else the new one.
InterlayRoutePtr share(InterlayRoute route, const Table* previous) {
  if (previous != nullptr) {
    for (const InterlayRoutePtr& old : previous->interlays) {
      if (same_route(*old, route)) return old;
    }
  }
  return std::make_shared<const InterlayRoute>(std::move(route));
}

}  // namespace

Table build_table(const State& state, std::uint64_t epoch, const InterlaySettings& defaults,
                  const Self& self, const Learned& learned, const Table* previous) {
  Table table{.epoch = epoch, .interlays = {}};
  for (const auto& [uuid, interlay] : state.interlays) {
    table.interlays.push_back(
        share(build_route(state, *interlay, defaults, self, learned, previous), previous));
  }
  return table;
}

bool same_routes(const Table& one, const Table& other) {
  return one.interlays == other.interlays;  // equal routes are the same object
}

}  // namespace crossfade
