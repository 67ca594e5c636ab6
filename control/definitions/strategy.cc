// Strategies from JSON, merged with JSON, and back.
#include "control/definitions/strategy.h"

#include <algorithm>
#include <utility>

#include "control/definitions/identity.h"
#include "control/definitions/instant.h"
#include "control/json/fields.h"
#include "protocols/base/visit.h"

namespace crossfade {

namespace {

constexpr std::size_t kFeatureMax = 128;  // bytes of the name of a feature or flag
constexpr std::size_t kFeaturesMax = 1'000;
constexpr std::uint64_t kInstancesMax = 10'000;
constexpr std::size_t kStepsMax = 100;
constexpr std::uint64_t kHoldMax_s = 31'536'000;  // a year

constexpr std::pair<const char*, SplitBy> kSplits[] = {{"key", SplitBy::Key},
                                                       {"user", SplitBy::User},
                                                       {"session", SplitBy::Session},
                                                       {"request", SplitBy::Request}};

std::optional<SplitBy> read_split(Fields& fields) {
  const auto given = fields.string("split_by", kWordMax);
  if (!given) return std::nullopt;
  for (const auto& [name, split] : kSplits) {
    if (*given == name) return split;
  }
  fields.complain("split_by", "must be key, user, session or request");
  return std::nullopt;
}

Result<RampSpec> read_ramp(const Json& json, const std::string& path) {
  Fields fields(json, path);
  RampSpec ramp;
  const Json* steps = fields.required("steps");
  const Json::Array none;
  const Json::Array& given =
      steps != nullptr && steps->elements() != nullptr ? *steps->elements() : none;
  const bool rising = std::ranges::all_of(given, [&](const Json& step) {
    const double before = ramp.steps.empty() ? 0 : ramp.steps.back();
    ramp.steps.push_back(step.number());
    return step.is_number() && step.number() > before && step.number() <= 1;
  });
  if (given.empty() || given.size() > kStepsMax || !rising) {
    fields.complain("steps", "must be 1 to 100 shares above 0 and up to 1, each above the last");
  }
  fields.required("hold_s");
  ramp.hold_s = static_cast<std::uint32_t>(fields.whole("hold_s", 1, kHoldMax_s).value_or(1));
  if (auto error = fields.finish()) return *error;
  return ramp;
}

StrategySpec read_canary(Fields& fields) {
  CanarySpec canary;
  canary.read_percentage = fields.required_share("read_percentage");
  canary.split_by = read_split(fields);
  const Json* ramp = fields.optional("ramp");
  if (ramp == nullptr || ramp->is_null() || fields.failed()) return canary;
  auto read = read_ramp(*ramp, fields.path_of("ramp"));
  if (read) {
    canary.ramp = std::move(*read);
  } else {
    fields.take(read.error());
  }
  return canary;
}

// The names of sidecars and shards, each once; absent is none.
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

// `what`, of which there are several, is what the member is called, too.
Switches read_switches(Fields& fields, const std::string& what, std::size_t name_max,
                       std::size_t count_max) {
  Switches switches;
  const Json* given = fields.required(what);
  if (given == nullptr || fields.failed()) return switches;
  if (given->members() == nullptr) {
    fields.complain(what, "must be an object of " + what + ", each true or false");
    return switches;
  }
  for (const auto& [name, on] : *given->members()) {
    if (name.empty() || name.size() > name_max) {
      fields.complain(what, "must have names of 1 to " + std::to_string(name_max) + " bytes");
    } else if (on.boolean() == nullptr) {
      fields.complain(join_path(what, name), "must be true or false");
    } else {
      switches[name] = *on.boolean();
    }
  }
  if (switches.size() > count_max) {
    fields.complain(what, "must have at most " + std::to_string(count_max) + " " + what);
  }
  return switches;
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

// What old answers new can not decide, and not a part of it either.
void check_shadow(Fields& fields, const WriteModeSpec& mode) {
  if (mode.mode == WriteMode::Mode::DualWrite && mode.policy == Policy::OldAuthoritative) return;
  fields.complain("write_mode",
                  "must be dual_write with old_authoritative for shadow_traffic: old answers");
}

// A share that is stepped up beyond that of writes would be read where it is not written.
void check_ramp(Fields& fields, const CanarySpec& canary) {
  if (!canary.ramp || !canary.write_mode || canary.write_mode->mode != WriteMode::Mode::Cutover) {
    return;
  }
  if (canary.ramp->steps.back() > canary.write_mode->write_percentage) {
    fields.complain("ramp",
                    "goes above write_mode.write_percentage: some keys would be read from "
                    "new while their writes go to old only");
  }
}

void read_common(Fields& fields, StrategySpec& spec) {
  const Json* given = fields.optional("write_mode");
  if (given != nullptr && !given->is_null() && !fields.failed()) {
    auto mode = read_write_mode(*given, fields.path_of("write_mode"));
    if (!mode) return fields.take(mode.error());
    std::visit([&](auto& one) { one.write_mode = *mode; }, spec);
    if (std::holds_alternative<ShadowTrafficSpec>(spec)) check_shadow(fields, *mode);
  }
  if (fields.optional("guardrails") != nullptr) {
    fields.complain("guardrails", "belongs to the migration, beside its strategy");
  }
  if (const auto* canary = std::get_if<CanarySpec>(&spec)) return check_ramp(fields, *canary);
  for (const char* name : {"split_by", "ramp"}) {
    if (fields.optional(name) != nullptr) fields.complain(name, "belongs to canary only");
  }
}

const char* name_of(SplitBy split_by) {
  for (const auto& [name, split] : kSplits) {
    if (split == split_by) return name;
  }
  return "key";
}

Json render(const RampSpec& ramp) {
  Json steps = Json::array();
  for (const double step : ramp.steps) steps.push(step);
  return Json::object({{"steps", std::move(steps)}, {"hold_s", ramp.hold_s}});
}

Json render(const Switches& switches) {
  Json rendered = Json::object({});
  for (const auto& [name, on] : switches) rendered.set(name, on);
  return rendered;
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
    spec = GeographicSpec{.regions = read_switches(fields, "regions", kRegionMax, kRegionsMax)};
  } else if (type == "time_window") {
    spec = read_time_window(fields);
  } else if (type == "strangler_fig") {
    spec =
        StranglerFigSpec{.features = read_switches(fields, "features", kFeatureMax, kFeaturesMax)};
  } else if (type == "feature_flag") {
    spec = FeatureFlagSpec{.flags = read_switches(fields, "flags", kFeatureMax, kFeaturesMax),
                           .rollout_percentage = fields.required_share("rollout_percentage")};
  } else {
    return Error{Errc::BadInput, "", "Migration strategy not yet implemented"};
  }
  read_common(fields, spec);
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
                          [](const TimeWindowSpec&) { return "time_window"; },
                          [](const StranglerFigSpec&) { return "strangler_fig"; },
                          [](const FeatureFlagSpec&) { return "feature_flag"; }},
                    strategy);
}

Json render(const StrategySpec& strategy) {
  Json rendered = Json::object({{"type", type_of(strategy)}});
  std::visit(
      Visit{[&](const BigBangSpec& spec) { rendered.set("durability", spec.durability); },
            [&](const CanarySpec& spec) {
              rendered.set("read_percentage", spec.read_percentage);
              if (spec.split_by) rendered.set("split_by", name_of(*spec.split_by));
              if (spec.ramp) rendered.set("ramp", render(*spec.ramp));
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
            [&](const GeographicSpec& spec) { rendered.set("regions", render(spec.regions)); },
            [&](const TimeWindowSpec& spec) {
              rendered.set("window_start", rfc3339(spec.window_start));
              rendered.set("window_end", rfc3339(spec.window_end));
              rendered.set("executed", spec.executed);
            },
            [&](const StranglerFigSpec& spec) { rendered.set("features", render(spec.features)); },
            [&](const FeatureFlagSpec& spec) {
              rendered.set("flags", render(spec.flags));
              rendered.set("rollout_percentage", spec.rollout_percentage);
            }},
      strategy);
  if (const auto& mode = write_mode_of(strategy)) rendered.set("write_mode", render(*mode));
  return rendered;
}

}  // namespace crossfade
