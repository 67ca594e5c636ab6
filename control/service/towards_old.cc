// Shares and switches compared, before and after.
#include "control/service/towards_old.h"

#include <algorithm>
#include <optional>
#include <set>
#include <variant>

#include "control/lifecycle.h"
#include "protocols/base/visit.h"

namespace crossfade {

namespace {

// Of a strategy that goes by names: those that have gone to new.
std::set<std::string> names_on_new(const StrategySpec& strategy) {
  using Names = std::set<std::string>;
  const auto on = [](const Switches& switches) {
    Names names;
    for (const auto& [name, is_on] : switches) {
      if (is_on) names.insert(name);
    }
    return names;
  };
  return std::visit(Visit{[](const RollingUpdateSpec& rolling) {
                            return Names(rolling.migrated_instances.begin(),
                                         rolling.migrated_instances.end());
                          },
                          [&](const GeographicSpec& geographic) { return on(geographic.regions); },
                          [&](const StranglerFigSpec& fig) { return on(fig.features); },
                          [&](const FeatureFlagSpec& flag) { return on(flag.flags); },
                          [](const auto&) { return Names(); }},
                    strategy);
}

// Of the users of those names.
double rollout_of(const StrategySpec& strategy) {
  const auto* flag = std::get_if<FeatureFlagSpec>(&strategy);
  return flag == nullptr ? 1 : flag->rollout_percentage;
}

// Of all that is asked for, the share that new answers; nullopt: it goes by names.
std::optional<double> share_on_new(const StrategySpec& strategy) {
  using Share = std::optional<double>;
  return std::visit(
      Visit{[](const BigBangSpec&) { return Share(1); },
            [](const CanarySpec& canary) { return Share(canary.read_percentage); },
            [](const BlueGreenSpec& colours) { return Share(colours.active_is_new ? 1 : 0); },
            [](const ShadowTrafficSpec&) { return Share(0); },
            [](const TimeWindowSpec& window) { return Share(window.executed ? 1 : 0); },
            [&](const auto&) {
              const bool some = rollout_of(strategy) > 0 && !names_on_new(strategy).empty();
              return some ? Share() : Share(0);
            }},
      strategy);
}

bool fewer_reads(const StrategySpec& before, const StrategySpec& after) {
  const auto former = share_on_new(before);
  const auto share = share_on_new(after);
  if (share) return *share < former.value_or(1);
  if (former) return *former > 0;
  if (before.index() != after.index()) return true;
  const auto names = names_on_new(after);
  return rollout_of(after) < rollout_of(before) ||
         !std::ranges::includes(names, names_on_new(before));
}

// Of all keys, where writes have a share of their own; nullopt: they follow reads.
std::optional<double> write_share(const StrategySpec& strategy) {
  const auto& mode = write_mode_of(strategy);
  if (!mode) return std::nullopt;
  return mode->mode == WriteMode::Mode::Cutover ? mode->write_percentage : 0;
}

bool fewer_writes(const StrategySpec& before, const StrategySpec& after) {
  const auto former = write_share(before);
  const auto share = write_share(after);
  if (former && share) return *share < *former;
  if (share) return *share < share_on_new(before).value_or(1);
  return former && share_on_new(after).value_or(0) < *former;
}

}  // namespace

bool takes_back(const Migration& migration, const MigrationSpec& patched) {
  const StrategySpec& before = migration.spec.strategy;
  if (!routes(migration.status) || !moves_writes(before)) return false;
  if (dual_writes(patched.strategy)) return authority_of(patched.strategy) == Side::Old;
  return fewer_reads(before, patched.strategy) || fewer_writes(before, patched.strategy);
}

std::string left_on_new(const NewOnlyWrites::Count& count) {
  if (count.writes == 0) {
    return count.exact ? "" : "whether writes went to new only, and are not on old, is not known";
  }
  return (count.exact ? "" : "at least ") + std::to_string(count.writes) +
         " writes went to new only and are not on old";
}

std::string left_on_new_so_far(const NewOnlyWrites::Count& count) {
  return left_on_new({.writes = count.writes, .exact = count.exact && count.writes == 0});
}

std::string taken_back_words(const NewOnlyWrites::Count& count) {
  const std::string left = left_on_new_so_far(count);
  return left.empty() ? "" : "; some of the traffic goes back to old: " + left;
}

}  // namespace crossfade
