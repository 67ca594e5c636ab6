// The one place that knows all strategies: each question is asked of the strategy in force.
#include "strategies/migration.h"

#include <cassert>

#include "protocols/base/visit.h"
#include "strategies/canary.h"
#include "strategies/one_side.h"

namespace crossfade {
namespace {

// What all but a canary come to: one side has the reads, writes follow them or go by the write
// mode.
struct Whole {
  Side side;
  const std::optional<WriteMode>& write_mode;
};

const std::optional<WriteMode> kFollows = std::nullopt;

Whole whole(const Strategy& strategy) {
  return std::visit(
      Visit{[](const BigBang& big_bang) {
              return Whole{Side::New, big_bang.write_mode};
            },
            [](const Canary& canary) {
              return Whole{home_of(canary), canary.write_mode};
            },
            [](const BlueGreen& blue_green) {
              return Whole{side_where(blue_green.active_is_new), blue_green.write_mode};
            },
            [](const ShadowTraffic& shadow) {
              return Whole{Side::Old, shadow.write_mode};
            },
            [](const RollingUpdate& rolling) {
              return Whole{side_where(rolling.here_migrated), rolling.write_mode};
            },
            [](const Geographic& geographic) {
              return Whole{side_where(geographic.region_migrated), geographic.write_mode};
            },
            [](const TimeWindow& window) {
              return window.executed ? Whole{Side::New, window.write_mode}
                                     : Whole{Side::Old, kFollows};
            }},
      strategy);
}

// Old answers it, as if nobody took part yet.
Plan plan_staying(const Strategy& strategy, const Facts& request) {
  const std::optional<WriteMode>& write_mode = whole(strategy).write_mode;
  if (!write_mode && std::holds_alternative<ShadowTraffic>(strategy)) {
    return {.answer = request.pinned.value_or(Side::Old)};
  }
  return plan_one_side(Side::Old, write_mode, request);
}

}  // namespace

Plan plan(const Strategy& strategy, const Facts& request) {
  if (request.stays) return plan_staying(strategy, request);
  return std::visit(
      Visit{[&](const BigBang& big_bang) { return plan_big_bang(big_bang, request); },
            [&](const Canary& canary) { return plan_canary(canary, request); },
            [&](const BlueGreen& blue_green) { return plan_blue_green(blue_green, request); },
            [&](const ShadowTraffic& shadow) { return plan_shadow_traffic(shadow, request); },
            [&](const RollingUpdate& rolling) { return plan_rolling_update(rolling, request); },
            [&](const Geographic& geographic) { return plan_geographic(geographic, request); },
            [&](const TimeWindow& window) { return plan_time_window(window, request); }},
      strategy);
}

Canary of_part(const Strategy& strategy) {
  assert(!dual_write_authority(strategy) && !std::holds_alternative<ShadowTraffic>(strategy));
  const auto* canary = std::get_if<Canary>(&strategy);
  const auto [side, write_mode] = whole(strategy);
  Canary part = canary != nullptr ? *canary : whole_side(side, write_mode);
  part.part = true;
  return part;
}

Side home(const Strategy& strategy) {
  const auto [side, write_mode] = whole(strategy);
  if (!write_mode || std::holds_alternative<Canary>(strategy)) return side;
  return home_of(whole_side(side, write_mode));
}

std::optional<Side> dual_write_authority(const Strategy& strategy) {
  const std::optional<WriteMode>& write_mode = whole(strategy).write_mode;
  if (!write_mode || write_mode->mode != WriteMode::Mode::DualWrite) return std::nullopt;
  return plan_dual_write(write_mode->policy).answer;
}

bool splits_writes(const Strategy& strategy) {
  if (const auto* canary = std::get_if<Canary>(&strategy)) return splits_writes(*canary);
  const auto [side, write_mode] = whole(strategy);
  return write_mode && splits_writes(whole_side(side, write_mode));
}

SplitBy split_by(const Strategy& strategy) {
  const auto* canary = std::get_if<Canary>(&strategy);
  return canary == nullptr ? SplitBy::Key : canary->split_by;
}

}  // namespace crossfade
