// The one place that knows all strategies: each question is asked of the strategy in force.
#include "strategies/migration.h"

#include "strategies/canary.h"

namespace crossfade {
namespace {

template <class... Visitors>
struct Visit : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Visit(Visitors...) -> Visit<Visitors...>;

}  // namespace

Plan plan(const Strategy& strategy, const Facts& request) {
  return std::visit(
      Visit{[&](const BigBang& big_bang) { return plan_big_bang(big_bang, request); },
            [&](const Canary& canary) { return plan_canary(canary, request); },
            [&](const BlueGreen& blue_green) { return plan_blue_green(blue_green, request); },
            [&](const ShadowTraffic& shadow) { return plan_shadow_traffic(shadow, request); }},
      strategy);
}

Side home(const Strategy& strategy) {
  return std::visit(Visit{[](const BigBang&) { return Side::New; },
                          [](const Canary& canary) { return home_of(canary); },
                          [](const BlueGreen& blue_green) {
                            return blue_green.active_is_new ? Side::New : Side::Old;
                          },
                          [](const ShadowTraffic&) { return Side::Old; }},
                    strategy);
}

std::optional<Side> dual_write_authority(const Strategy& strategy) {
  const auto* canary = std::get_if<Canary>(&strategy);
  if (canary == nullptr || !canary->write_mode ||
      canary->write_mode->mode != WriteMode::Mode::DualWrite) {
    return std::nullopt;
  }
  return plan_dual_write(canary->write_mode->policy).answer;
}

bool splits_writes(const Strategy& strategy) {
  const auto* canary = std::get_if<Canary>(&strategy);
  return canary != nullptr && splits_writes(*canary);
}

}  // namespace crossfade
