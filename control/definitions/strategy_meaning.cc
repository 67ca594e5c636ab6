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
  return std::ranges::find(spec.migrated_instances, self.instance) != spec.migrated_instances.end();
}

std::optional<WriteMode> in_force(const std::optional<WriteModeSpec>& spec) {
  if (!spec) return std::nullopt;
  return WriteMode{.mode = spec->mode,
                   .policy = spec->policy,
                   .write_share = share_of(spec->write_percentage),
                   .engine = spec->engine};
}

// The largest share of reads that any sidecar sends to new, once it is executed.
double read_percentage(const StrategySpec& strategy) {
  return std::visit(Visit{[](const BigBangSpec&) { return 1.0; },
                          [](const CanarySpec& spec) { return spec.read_percentage; },
                          [](const BlueGreenSpec& spec) { return spec.active_is_new ? 1.0 : 0.0; },
                          [](const ShadowTrafficSpec&) { return 0.0; },
                          [](const RollingUpdateSpec& spec) {
                            return spec.migrated_instances.empty() ? 0.0 : 1.0;
                          },
                          [](const GeographicSpec& spec) {
                            const bool any = std::ranges::any_of(
                                spec.regions, [](const auto& region) { return region.second; });
                            return any ? 1.0 : 0.0;
                          },
                          [](const TimeWindowSpec&) { return 1.0; }},
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
            [](const TimeWindowSpec& spec) { return spec.executed; }},
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
  return std::string(canary ? "read_percentage is above write_percentage"
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
