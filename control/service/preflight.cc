// The checks before a start, in the order of their asking.
#include "control/service/preflight.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "control/features.h"
#include "control/json/write.h"
#include "control/service/endpoints.h"
#include "control/service/migration_apis.h"
#include "control/service/postgres_checks.h"
#include "control/service/server_pairs.h"

namespace crossfade {

namespace {

// ---- the migration as a whole

Check check_resources(const Migration& migration) {
  Check check{.name = "resources"};
  check.ok = !migration.bindings.empty() || !migration.apis.empty();
  check.detail = check.ok ? std::to_string(migration.bindings.size()) + " interlay(s) and " +
                                std::to_string(migration.apis.size()) + " api(s) take part"
                          : "no interlay takes part: add one first";
  return check;
}

Check check_data_movement(const Migration& migration) {
  Check check{.name = "data_movement"};
  check.ok = migration.spec.data.type == DataMovement::Type::None;
  check.detail = check.ok
                     ? "no data is moved by crossfade"
                     : "this version moves no data: set data to \"none\" and bring the data to "
                       "the new side by other means";
  return check;
}

const char* what_canary_does(const CanarySpec& canary) {
  if (!canary.write_mode) return "canary without write_mode: writes follow reads";
  if (canary.write_mode->mode == WriteMode::Mode::Cutover) return "canary with cutover";
  return "canary with dual writes: keys not written since the start are on new only if they were "
         "brought there";
}

std::string what_rolling_update_does(const RollingUpdateSpec& rolling, const Self& self) {
  const bool here = std::get<RollingUpdate>(to_strategy(rolling, self)).here_migrated;
  return "rolling_update of " + std::to_string(rolling.migrated_instances.size()) + " of " +
         std::to_string(rolling.total_instances) + " instances: this one, '" + self.instance +
         "', " + (here ? "goes to new" : "stays on old") +
         (rolling.write_mode ? ""
                             : "; without write_mode, what clients of one that is on new write is "
                               "not seen by those of one that is on old");
}

Check check_window(const TimeWindowSpec& window, std::int64_t now) {
  Check check{.name = "window", .ok = now < window.window_end};
  check.detail = !check.ok ? "the window ended at " + rfc3339(window.window_end)
                 : now >= window.window_start
                     ? "the window is open: it is executed as soon as it is started"
                     : "it is executed at " + rfc3339(window.window_start) + ", in " +
                           std::to_string(window.window_start - now) + " s";
  return check;
}

// By the sidecar's own region, and by the networks of the interlays.
Check check_geographic(const State& state, const Migration& migration, const Self& self) {
  const auto& geographic = std::get<GeographicSpec>(migration.spec.strategy);
  std::size_t networks = 0;
  for (const Binding& binding : migration.bindings) {
    networks += networks_of(geographic, state.interlays.at(binding.interlay)->regions).size();
  }
  Check check{.name = "strategy"};
  if (self.region.empty()) {
    check.ok = networks > 0 || migration.bindings.empty();
    check.detail = "geographic: this sidecar has no region (--region)";
  } else {
    check.detail = "geographic: region '" + self.region + "' of this sidecar " +
                   (geographic.migrated(self.region) ? "goes to new" : "stays on old");
  }
  check.detail += networks > 0 ? "; clients in " + std::to_string(networks) +
                                     " networks of settings.regions go by theirs"
                  : check.ok ? "; clients are not told apart by their networks"
                             : ", and no interlay has settings.regions: nothing would move";
  return check;
}

std::string counted(std::size_t on, std::size_t all) {
  return std::to_string(on) + " of " + std::to_string(all);
}

std::size_t on_of(const Switches& switches) {
  return static_cast<std::size_t>(
      std::ranges::count_if(switches, [](const auto& one) { return one.second; }));
}

std::string named(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

// Of the attached apis, those that no feature or flag has let go; "" where there are none.
std::string staying(const State& state, const Migration& migration) {
  std::vector<std::string> names;
  for (const ApiBinding& part : migration.apis) {
    const ApiDefinition& api = *state.apis.at(part.api);
    if (!takes_part(migration, api)) names.push_back(api.identity.id);
  }
  return names.empty() ? "" : "; of the migration's apis " + named(names) + " stay(s) on old";
}

std::string what_strangler_fig_does(const StranglerFigSpec& fig, const State& state,
                                    const Migration& migration) {
  std::vector<std::string> unknown = strangers(state, migration, true);
  for (std::string& name : strangers(state, migration, false)) unknown.push_back(std::move(name));
  return "strangler_fig: " + counted(on_of(fig.features), fig.features.size()) +
         " features are true" + staying(state, migration) +
         (unknown.empty()
              ? ""
              : "; no api of the migration is named " + named(unknown) + ", which move(s) nothing");
}

std::string what_feature_flag_does(const FeatureFlagSpec& flag, const State& state,
                                   const Migration& migration) {
  const std::vector<std::string> whole = strangers(state, migration, true);
  return "feature_flag: " + counted(on_of(flag.flags), flag.flags.size()) +
         " flags are enabled, for a share of " + to_text(Json(flag.rollout_percentage)) +
         " of the users" +
         (whole.empty()
              ? staying(state, migration)
              : "; no api of the migration is named " + named(whole) + ": it governs all traffic");
}

std::string what_it_does(const State& state, const Migration& migration, const Self& self) {
  const StrategySpec& strategy = migration.spec.strategy;
  if (const auto* canary = std::get_if<CanarySpec>(&strategy)) return what_canary_does(*canary);
  if (const auto* rolling = std::get_if<RollingUpdateSpec>(&strategy)) {
    return what_rolling_update_does(*rolling, self);
  }
  if (const auto* fig = std::get_if<StranglerFigSpec>(&strategy)) {
    return what_strangler_fig_does(*fig, state, migration);
  }
  if (const auto* flag = std::get_if<FeatureFlagSpec>(&strategy)) {
    return what_feature_flag_does(*flag, state, migration);
  }
  return type_of(strategy);
}

Check check_strategy(const State& state, const Migration& migration, const Self& self) {
  const StrategySpec& strategy = migration.spec.strategy;
  if (const auto objection = history_objection(strategy)) {
    return {.name = "strategy", .ok = false, .detail = *objection};
  }
  if (std::holds_alternative<GeographicSpec>(strategy)) {
    return check_geographic(state, migration, self);
  }
  return {.name = "strategy", .detail = what_it_does(state, migration, self)};
}

// ---- one interlay and its two servers

struct Sides {
  const InterlayDefinition& interlay;
  const Endpoint& old_endpoint;
  const Endpoint& new_endpoint;
};

class InterlayChecks {
 public:
  InterlayChecks(const Sides& sides, const Migration& migration, std::vector<Check>& into)
      : sides_(sides), migration_(migration), into_(into) {}

  void run(Servers& servers) {
    const auto old_told = reach(servers, "old_reachable", sides_.old_endpoint);
    const auto new_told = reach(servers, "new_reachable", sides_.new_endpoint);
    if (!new_told) return;  // nothing else can be said about it
    check_role(*new_told);
    check_loading(*new_told);
    check_durability(*new_told);
    if (!old_told) return;
    check_version(*old_told, *new_told);
    check_cluster(*old_told, *new_told);
    check_databases(*old_told, *new_told);
    check_memory(*old_told, *new_told);
    check_evictions(*old_told, *new_told);
    check_keys(*old_told, *new_told);
  }

 private:
  void add(const char* name, bool ok, std::string detail) {
    into_.push_back({name, sides_.interlay.identity.id, ok, std::move(detail)});
  }

  std::optional<RedisProbe> reach(Servers& servers, const char* name, const Endpoint& endpoint) {
    auto told = servers.ask(endpoint.identity.uuid, endpoint.address, kCheckTimeout_ms);
    if (!told) {
      add(name, false, told.error().message());
      return std::nullopt;
    }
    add(name, true,
        "endpoint '" + endpoint.identity.id + "': " + told->server + " " + told->version +
            " answered in " + std::to_string(told->latency_us) + " us");
    return std::move(*told);
  }

  void check_role(const RedisProbe& told) {
    const bool master = told.role != "slave";
    add("new_role", master,
        master ? "new takes writes" : "new is a replica: it would refuse every write");
  }

  void check_loading(const RedisProbe& told) {
    add("new_loading", !told.loading,
        told.loading ? "new is still loading its data" : "new has loaded its data");
  }

  void check_durability(const RedisProbe& told) {
    const auto* big_bang = std::get_if<BigBangSpec>(&migration_.spec.strategy);
    if (big_bang == nullptr || !big_bang->durability) return;
    if (!told.persistence_known) {
      add("durability", true, "new does not tell whether it persists: CONFIG GET is refused");
      return;
    }
    add("durability", told.persists,
        told.persists ? "new persists"
                      : "new persists nothing: switch its AOF or its save points on, or set "
                        "strategy.durability to false");
  }

  static int major_of(const std::string& version) {
    int major = 0;
    std::from_chars(version.data(), version.data() + version.size(), major);
    return major;
  }

  void check_version(const RedisProbe& old_told, const RedisProbe& new_told) {
    // Valkey counts on from Redis 7.2; across the two, numbers do not say which is older.
    const bool comparable = old_told.server == new_told.server;
    const bool ok = !comparable || major_of(new_told.version) >= major_of(old_told.version);
    add("version", ok,
        "old is " + old_told.server + " " + old_told.version + ", new is " + new_told.server + " " +
            new_told.version + (ok ? "" : ": new may lack commands that clients use"));
  }

  void check_cluster(const RedisProbe& old_told, const RedisProbe& new_told) {
    const bool ok = !new_told.cluster || old_told.cluster;
    add("cluster", ok,
        ok ? "both are of a kind"
           : "new is a cluster and old is not: clients would be redirected away");
  }

  void check_databases(const RedisProbe& old_told, const RedisProbe& new_told) {
    const bool ok = new_told.databases >= old_told.databases;
    add("databases", true,
        ok ? "new has as many databases"
           : "new has " + std::to_string(new_told.databases) + " databases, old has " +
                 std::to_string(old_told.databases) + ": SELECT beyond that fails on new");
  }

  void check_memory(const RedisProbe& old_told, const RedisProbe& new_told) {
    const std::string used = std::to_string(old_told.used_memory) + " bytes used on old, " +
                             std::to_string(new_told.used_memory) + " on new, ";
    if (new_told.maxmemory == 0) {
      add("memory", true, used + "which has no maxmemory");
      return;
    }
    // Against all of new's memory, as what it holds may well be the data of old, brought over.
    const bool ok = new_told.maxmemory >= old_told.used_memory;
    add("memory", ok,
        used + "which has a maxmemory of " + std::to_string(new_told.maxmemory) +
            (ok ? "" : ": the data would not fit"));
  }

  static bool evicts(const RedisProbe& told) {
    const std::string& policy = told.eviction_policy;
    return told.maxmemory > 0 && !policy.empty() && policy != "noeviction";
  }

  // Never a reason to refuse: a cache may live with it.
  void check_evictions(const RedisProbe& old_told, const RedisProbe& new_told) {
    if (!evicts(old_told) && !evicts(new_told)) {
      add("evictions", true, "neither side drops keys to stay within its maxmemory");
      return;
    }
    std::string detail;
    if (evicts(old_told)) detail += "old has the policy " + old_told.eviction_policy + ", ";
    if (evicts(new_told)) detail += "new has the policy " + new_told.eviction_policy + ", ";
    add("evictions", true,
        detail +
            "so that it drops keys of its own choice at its maxmemory: while writes go to both "
            "sides, each time is a reason for full verification");
  }

  // Never a reason to refuse: whether keys on new are a conflict or the data brought there is known
  // to the operator only.
  void check_keys(const RedisProbe& old_told, const RedisProbe& new_told) {
    std::string detail = std::to_string(old_told.keys) + " keys on old, " +
                         std::to_string(new_told.keys) + " on new";
    if (new_told.keys == 0 && old_told.keys > 0) {
      detail += ": keys that are not brought over will be missing for whoever reads new";
    } else if (new_told.keys > 0) {
      detail += ": those on new stay as they are";
    }
    add("keys", true, std::move(detail));
  }

  const Sides& sides_;
  const Migration& migration_;
  std::vector<Check>& into_;
};

}  // namespace

Check check_apis(const State& state, const Migration& migration) {
  if (auto objection = apis_objection(state, migration)) {
    return {.name = "apis", .ok = false, .detail = std::move(*objection)};
  }
  return {.name = "apis", .detail = what_moves_by_api(state, migration)};
}

std::vector<Check> preflight(const State& state, const Migration& current, const Self& self,
                             std::int64_t now, Servers& servers) {
  Migration migration = current;
  migration.spec.strategy = foreseen(std::move(migration.spec.strategy));
  std::vector<Check> checks{check_resources(migration), check_strategy(state, migration, self),
                            check_data_movement(migration)};
  const bool fig = std::holds_alternative<StranglerFigSpec>(migration.spec.strategy);
  if (fig || !migration.apis.empty()) checks.push_back(check_apis(state, migration));
  if (const auto* window = std::get_if<TimeWindowSpec>(&migration.spec.strategy)) {
    checks.push_back(check_window(*window, now));
  }
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    const Sides sides{interlay, *state.endpoints.at(interlay.endpoint),
                      *state.endpoints.at(binding.endpoint)};
    if (sides.new_endpoint.address.kind == EndpointKind::Redis) {
      InterlayChecks(sides, migration, checks).run(servers);
      continue;
    }
    for (Check& check : postgres_checks(interlay, sides.old_endpoint, sides.new_endpoint,
                                        migration.spec.strategy, servers)) {
      checks.push_back(std::move(check));
    }
  }
  ask_who_is_there(state, migration, servers);
  for (Check& check : pair_checks(state, migration, servers)) checks.push_back(std::move(check));
  return checks;
}

}  // namespace crossfade
