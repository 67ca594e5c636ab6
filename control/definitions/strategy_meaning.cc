// What a strategy means: to the request path, and to whoever must know how far it has moved
// traffic.
#include <algorithm>
#include <cmath>

#include "control/definitions/strategy.h"

namespace crossfade {

namespace {

template <class... Visitors>
struct Visit : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Visit(Visitors...) -> Visit<Visitors...>;

std::uint32_t share_of(double percentage) {
  return static_cast<std::uint32_t>(std::llround(percentage * kWhole));
}

bool names(const RollingUpdateSpec& spec, const Self& self) {
  return std::ranges::find(spec.migrated_instances, self.instance) != spec.migrated_instances.end();
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

Strategy to_strategy(const StrategySpec& strategy, const Self& self) {
  return std::visit(
      Visit{[](const BigBangSpec&) { return Strategy(BigBang{}); },
            [](const CanarySpec& spec) {
              Canary canary{.read_share = share_of(spec.read_percentage), .write_mode = {}};
              if (spec.write_mode) {
                canary.write_mode =
                    WriteMode{.mode = spec.write_mode->mode,
                              .policy = spec.write_mode->policy,
                              .write_share = share_of(spec.write_mode->write_percentage),
                              .engine = spec.write_mode->engine};
              }
              return Strategy(canary);
            },
            [](const BlueGreenSpec& spec) {
              return Strategy(BlueGreen{.active_is_new = spec.active_is_new});
            },
            [](const ShadowTrafficSpec& spec) {
              return Strategy(ShadowTraffic{.writes = spec.shadow_writes,
                                            .sample_share = share_of(spec.sample_percentage)});
            },
            [&](const RollingUpdateSpec& spec) {
              return Strategy(RollingUpdate{.here_migrated = names(spec, self)});
            },
            [&](const GeographicSpec& spec) {
              return Strategy(Geographic{.region_migrated = spec.migrated(self.region)});
            },
            [](const TimeWindowSpec& spec) {
              return Strategy(TimeWindow{.executed = spec.executed});
            }},
      strategy);
}

std::optional<std::string> history_objection(const StrategySpec& strategy) {
  const auto* canary = std::get_if<CanarySpec>(&strategy);
  if (canary == nullptr || !canary->write_mode) return std::nullopt;
  const WriteModeSpec& write_mode = *canary->write_mode;
  if (write_mode.mode != WriteMode::Mode::Cutover ||
      canary->read_percentage <= write_mode.write_percentage) {
    return std::nullopt;
  }
  return "read_percentage is above write_percentage: some keys would be read from new while their "
         "writes go to old only";
}

std::optional<Engine> engine_of(const StrategySpec& strategy) {
  const auto* canary = std::get_if<CanarySpec>(&strategy);
  if (canary == nullptr || !canary->write_mode ||
      canary->write_mode->mode != WriteMode::Mode::DualWrite) {
    return std::nullopt;
  }
  return canary->write_mode->engine;
}

std::optional<Side> authority_of(const StrategySpec& strategy) {
  return dual_write_authority(to_strategy(strategy, {}));
}

bool dual_writes(const StrategySpec& strategy) { return engine_of(strategy).has_value(); }

bool everything_on_new(const StrategySpec& strategy, const Self& self) {
  return std::visit(
      Visit{[](const BigBangSpec&) { return true; },
            [](const CanarySpec& spec) {
              if (share_of(spec.read_percentage) != kWhole) return false;
              if (!spec.write_mode) return true;  // writes follow reads
              return spec.write_mode->mode == WriteMode::Mode::Cutover &&
                     share_of(spec.write_mode->write_percentage) == kWhole;
            },
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

}  // namespace crossfade
