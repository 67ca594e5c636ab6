// The checks before a start, in the order of their asking.
#include "control/service/preflight.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

#include "control/api_rules.h"
#include "control/features.h"
#include "control/json/write.h"
#include "control/service/asked.h"
#include "control/service/endpoints.h"
#include "control/service/migration_apis.h"
#include "control/service/migration_rules.h"
#include "control/service/postgres_checks.h"
#include "control/service/rendered_sql.h"
#include "control/service/server_pairs.h"
#include "control/side_by_side.h"

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

const char* what_canary_does(const CanarySpec& canary) {
  if (!canary.write_mode) return "canary without write_mode: writes follow reads";
  if (canary.write_mode->mode == WriteMode::Mode::Cutover) return "canary with cutover";
  return "canary with dual writes: keys not written since the start are on new only if they were "
         "brought there";
}

std::string where_it_goes(const RollingUpdateSpec& rolling, const Self& self) {
  const bool here = std::get<RollingUpdate>(to_strategy(rolling, self)).here_migrated;
  return here ? "goes to new" : "stays on old";
}

std::string what_rolling_update_does(const RollingUpdateSpec& rolling, const State& state,
                                     const Migration& migration, const Self& self) {
  std::string shards;
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    const Self there = at_interlay(state, interlay, self);
    if (there.shard.empty()) continue;
    shards += "; interlay '" + interlay.identity.id + "', before shard '" + there.shard + "', " +
              where_it_goes(rolling, there);
  }
  return "rolling_update of " + std::to_string(rolling.migrated_instances.size()) + " of " +
         std::to_string(rolling.total_instances) + " instances" +
         (shards.empty() ? "" : " or shards") + ": this one, '" + self.instance + "', " +
         where_it_goes(rolling, self) + shards +
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

// Never a reason to refuse: it is what they were given for that decides.
Check check_guardrails(const State& state, const Migration& migration, const Self& self) {
  const bool ends_at_once =
      is_executed(migration.spec.strategy) && all_on_new(state, migration, self);
  return {.name = "guardrails",
          .detail = ends_at_once
                        ? "guardrails are not looked at: it is completed as soon as it is "
                          "executed, and what is complete is never taken back by itself. Give it a "
                          "write_mode that writes to both sides, or take blue_green, which runs "
                          "until you complete it"
                        : "guardrails are looked at while it runs"};
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
    return what_rolling_update_does(*rolling, state, migration, self);
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

bool splits_users(const StrategySpec& strategy) {
  const auto* canary = std::get_if<CanarySpec>(&strategy);
  return std::holds_alternative<FeatureFlagSpec>(strategy) ||
         (canary != nullptr && canary->split_by == SplitBy::User);
}

// Of the apis of an endpoint.
std::size_t templates_with(const State& state, const std::string& endpoint,
                           const std::string& field) {
  std::size_t count = 0;
  for (const auto& [uuid, api] : state.apis) {
    if (endpoint_of(state, api->spec) != endpoint) continue;
    for (const TemplateBinding& own : api->spec.bindings) {
      const auto& fields = state.templates.at(own.template_ref)->meaning.fields;
      count += find_field(fields, field) != nullptr ? 1u : 0u;
    }
  }
  return count;
}

// Where users are told by a field: on PostgreSQL nobody moves by any other way.
std::optional<Check> check_users(const State& state, const Migration& migration,
                                 const InterlayDefinition& interlay) {
  if (!splits_users(migration.spec.strategy) || !interlay.user ||
      interlay.user->from != UserFrom::Field) {
    return std::nullopt;
  }
  const std::string& field = interlay.user->name;
  const std::size_t count = templates_with(state, interlay.endpoint, field);
  const bool sql = state.endpoints.at(interlay.endpoint)->address.kind == EndpointKind::Postgres;
  return Check{
      .name = "users",
      .interlay = interlay.identity.id,
      .ok = count > 0 || !sql,
      .detail = std::to_string(count) + " template(s) of its endpoint's apis have the field '" +
                field + "' of settings.user; what matches none of them " +
                (sql ? "is nobody's, and on old until the share is 1.0" : "goes by its key")};
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

  void run(const Asked& asked) {
    const RedisProbe* old_told = reach(asked, "old_reachable", sides_.old_endpoint);
    const RedisProbe* new_told = reach(asked, kNewReachable, sides_.new_endpoint);
    if (new_told == nullptr) return;  // nothing else can be said about it
    check_role(*new_told, asked);
    if (!new_told->info_refused) check_loading(*new_told);
    check_durability(*new_told);
    if (old_told == nullptr) return;
    check_databases(*old_told, *new_told);
    if (old_told->info_refused || new_told->info_refused) {
      say_what_is_not_told(*old_told, *new_told);
      return;
    }
    check_version(*old_told, *new_told);
    check_cluster(*old_told, *new_told);
    check_memory(*old_told, *new_told);
    check_evictions(*old_told, *new_told);
    check_keys(*old_told, *new_told);
  }

 private:
  void add(const char* name, bool ok, std::string detail) {
    into_.push_back({name, sides_.interlay.identity.id, ok, std::move(detail)});
  }

  // Null: it did not answer.
  const RedisProbe* reach(const Asked& asked, const char* name, const Endpoint& endpoint) {
    const Result<RedisProbe>& told = asked.redis(endpoint);
    if (!told) {
      add(name, false, told.error().message());
      return nullptr;
    }
    const std::string who = "endpoint '" + endpoint.identity.id + "': ";
    if (!told->ping_refusal.empty()) {
      // Old is what there is: whoever moves away from a server that fails is not to be held up.
      const bool is_old = &endpoint == &sides_.old_endpoint;
      add(name, is_old, who + "it answers PING with an error: " + told->ping_refusal);
      return &told.value();
    }
    add(name, true,
        who +
            (told->info_refused ? "a server that refuses INFO"
                                : told->server + " " + told->version) +
            " answered in " + std::to_string(told->latency_us) + " us");
    return &told.value();
  }

  void check_role(const RedisProbe& told, const Asked& asked) {
    if (told.role == "slave") {
      add("new_role", false, "new is a replica: it would refuse every write");
      return;
    }
    using enum WritesTold::Answer;
    const WritesTold& writes = asked.writes(sides_.new_endpoint);
    switch (writes.answer) {
      case Taken:
        add("new_role", true, "new takes writes");
        return;
      case Refused:
        add("new_role", false, "new refuses every write: " + writes.why);
        return;
      case Silent:
        add("new_role", false, "new does not answer a write: " + writes.why);
        return;
      case NotTold:
        add("new_role", true,
            (told.role.empty() ? "new does not tell" : "new is a master; it does not tell") +
                (" whether it takes writes: " + writes.why));
    }
  }

  // Never a reason to refuse: users of applications often may not ask.
  void say_what_is_not_told(const RedisProbe& old_told, const RedisProbe& new_told) {
    const char* who = !new_told.info_refused  ? "old does not tell"
                      : old_told.info_refused ? "neither side tells"
                                              : "new does not tell";
    add("version", true,
        who + std::string(": INFO is refused, so that versions, modes of cluster, memory, "
                          "evictions and keys are not compared"));
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
      const auto authority = authority_of(migration_.spec.strategy);
      detail += ": those on new stay as they are";
      if (authority) {
        detail += std::string(" until a verification, which deletes on ") +
                  (*authority == Side::Old ? "new what old" : "old what new") + " has not";
      }
    }
    add("keys", true, std::move(detail));
  }

  const Sides& sides_;
  const Migration& migration_;
  std::vector<Check>& into_;
};

}  // namespace

Check check_data_movement(const Migration& migration) {
  Check check{.name = "data_movement"};
  check.ok = migration.spec.data.type == DataMovement::Type::None;
  check.detail = check.ok
                     ? "no data is moved by crossfade"
                     : "this version moves no data: set data to \"none\" and bring the data to "
                       "the new side by other means";
  return check;
}

Check check_apis(const State& state, const Migration& migration) {
  if (auto objection = apis_objection(state, migration)) {
    return {.name = "apis", .ok = false, .detail = std::move(*objection)};
  }
  return {.name = "apis", .detail = what_moves_by_api(state, migration)};
}

std::string gone_new(const State& state, const Migration& migration, Servers& servers) {
  std::set<std::string> uuids;
  for (const Binding& binding : migration.bindings) {
    if (!binding.taken_back) uuids.insert(binding.endpoint);
  }
  const std::vector<std::string> each(uuids.begin(), uuids.end());
  std::vector<Status> answers(each.size(), success());
  side_by_side(each.size(), [&](std::size_t i) {
    answers[i] = servers.check_answers(*state.endpoints.at(each[i]), kCheckTimeout_ms);
  });
  const auto none = std::ranges::find_if(answers, [](const Status& one) { return !one.ok(); });
  return none == answers.end() ? "" : none->error().message();
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
  if (migration.spec.guardrails) checks.push_back(check_guardrails(state, migration, self));
  const Asked asked(state, migration, servers);
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    const Sides sides{interlay, *state.endpoints.at(interlay.endpoint),
                      *state.endpoints.at(binding.endpoint)};
    if (auto check = check_users(state, migration, interlay)) checks.push_back(std::move(*check));
    if (sides.new_endpoint.address.kind == EndpointKind::Redis) {
      InterlayChecks(sides, migration, checks).run(asked);
      continue;
    }
    for (Check& check : postgres_checks(interlay, sides.old_endpoint, sides.new_endpoint,
                                        migration.spec.strategy, asked, servers)) {
      checks.push_back(std::move(check));
    }
    if (!asked.postgres(sides.old_endpoint) || !asked.postgres(sides.new_endpoint)) continue;
    auto rendering = check_rendered_sql(state, migration, binding, servers);
    if (rendering) checks.push_back(std::move(*rendering));
  }
  ask_who_is_there(state, migration, servers);
  for (Check& check : pair_checks(state, migration, servers)) checks.push_back(std::move(check));
  return checks;
}

}  // namespace crossfade
