// What a strategy means: to the request path, and to whoever must know how far it has moved
// traffic.
#include <algorithm>
#include <cmath>

#include "control/definitions/strategy.h"
#include "protocols/base/visit.h"

namespace crossfade {

namespace {

std::uint32_t share_of(double percentage) {
  return static_cast<std::uint32_t>(std::llround(percentage * kWhole));
}

bool names(const RollingUpdateSpec& spec, const Self& self) {
  return std::ranges::any_of(spec.migrated_instances, [&](const std::string& name) {
    return name == self.instance || name == self.shard;
  });
}

std::optional<WriteMode> in_force(const std::optional<WriteModeSpec>& spec) {
  if (!spec) return std::nullopt;
  return WriteMode{.mode = spec->mode,
                   .policy = spec->policy,
                   .write_share = share_of(spec->write_percentage),
                   .engine = spec->engine};
}

bool any_is_on(const Switches& switches) {
  return std::ranges::any_of(switches, [](const auto& one) { return one.second; });
}

// What is enabled governs users, and where nothing is, there are none.
double rollout(const FeatureFlagSpec& spec) {
  return any_is_on(spec.flags) ? spec.rollout_percentage : 0.0;
}

// The largest share of reads that any sidecar sends to new, once it is executed.
double read_percentage(const StrategySpec& strategy) {
  return std::visit(
      Visit{
          [](const BigBangSpec&) { return 1.0; },
          [](const CanarySpec& spec) { return spec.read_percentage; },
          [](const BlueGreenSpec& spec) { return spec.active_is_new ? 1.0 : 0.0; },
          [](const ShadowTrafficSpec&) { return 0.0; },
          [](const RollingUpdateSpec& spec) { return spec.migrated_instances.empty() ? 0.0 : 1.0; },
          [](const GeographicSpec& spec) { return any_is_on(spec.regions) ? 1.0 : 0.0; },
          [](const TimeWindowSpec&) { return 1.0; },
          [](const StranglerFigSpec& spec) { return any_is_on(spec.features) ? 1.0 : 0.0; },
          [](const FeatureFlagSpec& spec) { return rollout(spec); }},
      strategy);
}

// Of all clients, here and at the other sidecars.
bool reads_on_new(const StrategySpec& strategy, const Self& self) {
  return std::visit(
      Visit{[](const BigBangSpec&) { return true; },
            [](const CanarySpec& spec) { return share_of(spec.read_percentage) == kWhole; },
            [](const BlueGreenSpec& spec) { return spec.active_is_new; },
            [](const ShadowTrafficSpec&) { return false; },
            [&](const RollingUpdateSpec& spec) {
              return names(spec, self) && spec.migrated_instances.size() == spec.total_instances;
            },
            [&](const GeographicSpec& spec) {
              return spec.migrated(self.region) &&
                     std::ranges::all_of(spec.regions,
                                         [](const auto& region) { return region.second; });
            },
            [](const TimeWindowSpec& spec) { return spec.executed; },
            // What is of no feature is on old.
            [](const StranglerFigSpec&) { return false; },
            [](const FeatureFlagSpec& spec) { return share_of(rollout(spec)) == kWhole; }},
      strategy);
}

}  // namespace

bool GeographicSpec::migrated(std::string_view region) const {
  const auto found = regions.find(region);
  return found != regions.end() && found->second;
}

StrategySpec foreseen(StrategySpec strategy) {
  if (auto* window = std::get_if<TimeWindowSpec>(&strategy)) window->executed = true;
  return strategy;
}

bool is_executed(const StrategySpec& strategy) {
  return std::holds_alternative<BigBangSpec>(strategy) ||
         std::holds_alternative<TimeWindowSpec>(strategy);
}

std::vector<RegionNetwork> networks_of(const StrategySpec& strategy, const Regions& regions) {
  std::vector<RegionNetwork> networks;
  const auto* geographic = std::get_if<GeographicSpec>(&strategy);
  if (geographic == nullptr) return networks;
  for (const auto& [name, own] : regions) {
    for (const Network& network : own) networks.push_back({network, geographic->migrated(name)});
  }
  return networks;
}

const std::optional<WriteModeSpec>& write_mode_of(const StrategySpec& strategy) {
  return std::visit(
      [](const auto& one) -> const auto& { return one.write_mode; }, strategy);
}

Strategy to_strategy(const StrategySpec& strategy, const Self& self) {
  const auto mode = in_force(write_mode_of(strategy));
  return std::visit(
      Visit{[&](const BigBangSpec&) { return Strategy(BigBang{mode}); },
            [&](const CanarySpec& spec) {
              return Strategy(Canary{.read_share = share_of(spec.read_percentage),
                                     .write_mode = mode,
                                     .split_by = spec.split_by.value_or(SplitBy::Key)});
            },
            [&](const BlueGreenSpec& spec) {
              return Strategy(BlueGreen{spec.active_is_new, mode});
            },
            [&](const ShadowTrafficSpec& spec) {
              return Strategy(ShadowTraffic{.writes = spec.shadow_writes,
                                            .sample_share = share_of(spec.sample_percentage),
                                            .write_mode = mode});
            },
            [&](const RollingUpdateSpec& spec) {
              return Strategy(RollingUpdate{names(spec, self), mode});
            },
            [&](const GeographicSpec& spec) {
              return Strategy(Geographic{spec.migrated(self.region), mode});
            },
            [&](const TimeWindowSpec& spec) {
              return Strategy(TimeWindow{spec.executed, mode});
            },
            [&](const StranglerFigSpec&) { return Strategy(StranglerFig{mode}); },
            [&](const FeatureFlagSpec& spec) {
              return Strategy(
                  FeatureFlag{.rollout_share = share_of(rollout(spec)), .write_mode = mode});
            }},
      strategy);
}

std::optional<std::string> history_objection(const StrategySpec& strategy) {
  const auto& mode = write_mode_of(strategy);
  if (!mode || mode->mode != WriteMode::Mode::Cutover ||
      read_percentage(strategy) <= mode->write_percentage) {
    return std::nullopt;
  }
  const bool canary = std::holds_alternative<CanarySpec>(strategy);
  const bool flag = std::holds_alternative<FeatureFlagSpec>(strategy);
  return std::string(canary ? "read_percentage is above write_percentage"
                     : flag ? "rollout_percentage is above write_percentage"
                            : "all reads go to new with only a part of the writes") +
         ": some keys would be read from new while their writes go to old only";
}

std::optional<Engine> engine_of(const StrategySpec& strategy) {
  const auto& mode = write_mode_of(strategy);
  const auto* window = std::get_if<TimeWindowSpec>(&strategy);
  const bool waits = window != nullptr && !window->executed;
  if (!mode || mode->mode != WriteMode::Mode::DualWrite || waits) return std::nullopt;
  return mode->engine;
}

std::optional<Side> authority_of(const StrategySpec& strategy) {
  return dual_write_authority(to_strategy(strategy, {}));
}

bool moves_writes(const StrategySpec& strategy) {
  const auto& mode = write_mode_of(strategy);
  if (!mode) return !std::holds_alternative<ShadowTrafficSpec>(strategy);
  return mode->mode == WriteMode::Mode::Cutover && mode->write_percentage > 0;
}

bool dual_writes(const StrategySpec& strategy) { return engine_of(strategy).has_value(); }

bool everything_on_new(const StrategySpec& strategy, const Self& self) {
  const auto& mode = write_mode_of(strategy);
  const bool writes_on_new = !mode || (mode->mode == WriteMode::Mode::Cutover &&
                                       share_of(mode->write_percentage) == kWhole);
  return writes_on_new && reads_on_new(strategy, self);
}

}  // namespace crossfade
