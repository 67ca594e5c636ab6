// Strategies from JSON, merged with JSON, and back.
#include "control/definitions/strategy.h"

#include <algorithm>

#include "control/definitions/identity.h"
#include "control/definitions/instant.h"
#include "control/json/fields.h"

namespace crossfade {

namespace {

constexpr std::size_t kWordMax = 64;
constexpr std::size_t kInstanceMax = 256;  // bytes of an instance's id
constexpr std::uint64_t kInstancesMax = 10'000;

template <class... Visitors>
struct Visit : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Visit(Visitors...) -> Visit<Visitors...>;

const char* name_of(Policy policy) {
  switch (policy) {
    case Policy::OldAuthoritative:
      return "old_authoritative";
    case Policy::NewAuthoritative:
      return "new_authoritative";
    case Policy::BestEffort:
      return "best_effort";
  }
  return "old_authoritative";
}

void read_policy(Fields& fields, WriteModeSpec& spec) {
  const auto given = fields.string("policy", kWordMax);
  if (!given) return;
  for (const Policy policy :
       {Policy::OldAuthoritative, Policy::NewAuthoritative, Policy::BestEffort}) {
    if (*given != name_of(policy)) continue;
    spec.policy = policy;
    return;
  }
  fields.complain("policy", "must be old_authoritative, new_authoritative or best_effort");
}

void read_engine(Fields& fields, WriteModeSpec& spec) {
  const auto given = fields.string("engine", kWordMax);
  if (!given) return;
  if (*given == "statement") {
    spec.engine = Engine::Statement;
  } else if (*given == "replication") {
    fields.complain("engine",
                    "\"replication\" comes with PostgreSQL data movement; this version has "
                    "\"statement\"");
  } else {
    fields.complain("engine", "must be \"statement\"");
  }
}

Result<WriteModeSpec> read_write_mode(const Json& json, const std::string& path) {
  Fields fields(json, path);
  WriteModeSpec spec;
  const std::string mode = fields.required_string("mode", kWordMax);
  if (mode == "dual_write") {
    read_policy(fields, spec);
    read_engine(fields, spec);
  } else if (mode == "cutover") {
    spec.mode = WriteMode::Mode::Cutover;
    spec.write_percentage = fields.required_share("write_percentage");
  } else {
    fields.complain("mode", "must be dual_write or cutover");
  }
  if (auto error = fields.finish()) return *error;
  return spec;
}

StrategySpec read_canary(Fields& fields) {
  CanarySpec canary;
  canary.read_percentage = fields.required_share("read_percentage");
  const Json* mode = fields.optional("write_mode");
  if (mode != nullptr && !mode->is_null() && !fields.failed()) {
    auto read = read_write_mode(*mode, fields.path_of("write_mode"));
    if (read) {
      canary.write_mode = *read;
    } else {
      fields.take(read.error());
    }
  }
  return canary;
}

// The names of sidecars, each once; absent is none.
std::vector<std::string> read_instances(Fields& fields, const char* name) {
  std::vector<std::string> instances;
  const Json* given = fields.optional(name);
  if (given == nullptr || given->is_null()) return instances;
  if (given->elements() == nullptr) {
    fields.complain(name, "must be an array of instance ids");
    return instances;
  }
  for (const Json& element : *given->elements()) {
    const std::string* id = element.string();
    if (id == nullptr || id->empty() || id->size() > kInstanceMax) {
      fields.complain(name, "must hold instance ids, strings of 1 to 256 bytes");
      return instances;
    }
    if (std::find(instances.begin(), instances.end(), *id) != instances.end()) {
      fields.complain(name, "names an instance twice");
      return instances;
    }
    instances.push_back(*id);
  }
  return instances;
}

RollingUpdateSpec read_rolling_update(Fields& fields) {
  RollingUpdateSpec rolling;
  rolling.migrated_instances = read_instances(fields, "migrated_instances");
  fields.required("total_instances");
  rolling.total_instances =
      static_cast<std::uint32_t>(fields.whole("total_instances", 1, kInstancesMax).value_or(1));
  if (rolling.migrated_instances.size() > rolling.total_instances) {
    fields.complain("migrated_instances", "names more instances than total_instances");
  }
  return rolling;
}

GeographicSpec read_geographic(Fields& fields) {
  GeographicSpec geographic;
  const Json* given = fields.required("regions");
  if (given == nullptr || fields.failed()) return geographic;
  if (given->members() == nullptr) {
    fields.complain("regions", "must be an object of regions, each true or false");
    return geographic;
  }
  for (const auto& [name, migrated] : *given->members()) {
    if (name.empty() || name.size() > kRegionMax) {
      fields.complain("regions", "must have names of 1 to 128 bytes");
    } else if (migrated.boolean() == nullptr) {
      fields.complain(join_path("regions", name), "must be true or false");
    } else {
      geographic.regions[name] = *migrated.boolean();
    }
  }
  if (geographic.regions.size() > kRegionsMax) {
    fields.complain("regions", "must have at most 1000 regions");
  }
  return geographic;
}

std::int64_t read_instant(Fields& fields, const char* name) {
  const std::string text = fields.required_string(name, kWordMax);
  const auto instant = parse_instant(text);
  if (!instant) {
    fields.complain(name, "must be a time with its offset, as \"2024-01-15T02:00:00Z\"");
  }
  return instant.value_or(0);
}

TimeWindowSpec read_time_window(Fields& fields) {
  const TimeWindowSpec window{.window_start = read_instant(fields, "window_start"),
                              .window_end = read_instant(fields, "window_end"),
                              .executed = fields.boolean("executed").value_or(false)};
  if (window.window_end <= window.window_start) {
    fields.complain("window_end", "must be later than window_start");
  }
  return window;
}

// Extensions of the API that this version does not have: said so, rather than "unknown".
void refuse_extensions(Fields& fields, const std::string& type) {
  for (const char* name : {"split_by", "guardrails", "ramp"}) {
    if (fields.optional(name) != nullptr) {
      fields.complain(name, "is not supported by this version");
    }
  }
  if (type == "canary") return;
  if (fields.optional("write_mode") != nullptr) {
    fields.complain("write_mode", "is supported by this version for canary only");
  }
}

Json render(const WriteModeSpec& spec) {
  if (spec.mode == WriteMode::Mode::Cutover) {
    return Json::object({{"mode", "cutover"}, {"write_percentage", spec.write_percentage}});
  }
  Json json = Json::object({{"mode", "dual_write"}, {"policy", name_of(spec.policy)}});
  if (spec.engine == Engine::Statement) json.set("engine", "statement");
  return json;
}

// Replaces the members that `given` has; null takes one away.
Json merge(Json base, const Json::Object& given) {
  for (const auto& [name, value] : given) {
    if (value.is_null()) {
      base.erase(name);
    } else {
      base.set(name, value);
    }
  }
  return base;
}

// True when `given` names no other value of `name` than `current` has.
bool same_choice(const Json& current, const Json& given, std::string_view name) {
  const Json* chosen = given.find(name);
  const Json* present = current.find(name);
  return chosen == nullptr || (present != nullptr && *chosen == *present);
}

}  // namespace

Result<StrategySpec> read_strategy(const Json& strategy, const std::string& path) {
  if (strategy.is_null()) return StrategySpec(BigBangSpec{});
  Fields fields(strategy, path);
  const std::string type = fields.required_string("type", kWordMax);
  if (fields.failed()) return *fields.finish();
  StrategySpec spec;
  if (type == "big_bang") {
    spec = BigBangSpec{.durability = fields.boolean("durability").value_or(true)};
  } else if (type == "canary") {
    spec = read_canary(fields);
  } else if (type == "blue_green") {
    spec = BlueGreenSpec{.active_is_new = fields.boolean("active_is_new").value_or(false)};
  } else if (type == "shadow_traffic") {
    spec = ShadowTrafficSpec{.shadow_writes = fields.boolean("shadow_writes").value_or(true),
                             .sample_percentage = fields.share("sample_percentage").value_or(1)};
  } else if (type == "rolling_update") {
    spec = read_rolling_update(fields);
  } else if (type == "geographic") {
    spec = read_geographic(fields);
  } else if (type == "time_window") {
    spec = read_time_window(fields);
  } else {
    return Error{Errc::BadInput, "", "Migration strategy not yet implemented"};
  }
  refuse_extensions(fields, type);
  if (auto error = fields.finish()) return *error;
  return spec;
}

Result<StrategySpec> patch_strategy(const StrategySpec& current, const Json& given,
                                    const std::string& path) {
  const Json present = render(current);
  if (given.members() == nullptr || !same_choice(present, given, "type")) {
    return read_strategy(given, path);
  }
  Json merged = merge(present, *given.members());
  const Json* old_mode = present.find("write_mode");
  const Json* new_mode = given.find("write_mode");
  if (old_mode != nullptr && new_mode != nullptr && new_mode->members() != nullptr &&
      same_choice(*old_mode, *new_mode, "mode")) {
    merged.set("write_mode", merge(*old_mode, *new_mode->members()));
  }
  return read_strategy(merged, path);
}

const char* type_of(const StrategySpec& strategy) {
  return std::visit(Visit{[](const BigBangSpec&) { return "big_bang"; },
                          [](const CanarySpec&) { return "canary"; },
                          [](const BlueGreenSpec&) { return "blue_green"; },
                          [](const ShadowTrafficSpec&) { return "shadow_traffic"; },
                          [](const RollingUpdateSpec&) { return "rolling_update"; },
                          [](const GeographicSpec&) { return "geographic"; },
                          [](const TimeWindowSpec&) { return "time_window"; }},
                    strategy);
}

Json render(const StrategySpec& strategy) {
  Json rendered = Json::object({{"type", type_of(strategy)}});
  std::visit(
      Visit{[&](const BigBangSpec& spec) { rendered.set("durability", spec.durability); },
            [&](const CanarySpec& spec) {
              rendered.set("read_percentage", spec.read_percentage);
              if (spec.write_mode) rendered.set("write_mode", render(*spec.write_mode));
            },
            [&](const BlueGreenSpec& spec) { rendered.set("active_is_new", spec.active_is_new); },
            [&](const ShadowTrafficSpec& spec) {
              if (!spec.shadow_writes) rendered.set("shadow_writes", false);
              if (spec.sample_percentage < 1) {
                rendered.set("sample_percentage", spec.sample_percentage);
              }
            },
            [&](const RollingUpdateSpec& spec) {
              Json instances = Json::array();
              for (const std::string& id : spec.migrated_instances) instances.push(id);
              rendered.set("migrated_instances", std::move(instances));
              rendered.set("total_instances", spec.total_instances);
            },
            [&](const GeographicSpec& spec) {
              Json regions = Json::object({});
              for (const auto& [name, migrated] : spec.regions) regions.set(name, migrated);
              rendered.set("regions", std::move(regions));
            },
            [&](const TimeWindowSpec& spec) {
              rendered.set("window_start", rfc3339(spec.window_start));
              rendered.set("window_end", rfc3339(spec.window_end));
              rendered.set("executed", spec.executed);
            }},
      strategy);
  return rendered;
}

}  // namespace crossfade
