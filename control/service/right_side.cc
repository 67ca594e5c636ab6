// Policies compared, entries counted.
#include "control/service/right_side.h"

#include <algorithm>
#include <variant>

#include "control/ledger/reasons.h"
#include "control/lifecycle.h"
#include "protocols/base/visit.h"

namespace crossfade {

namespace {

// Of its dual writes; nullopt: it does none.
std::optional<Policy> policy_of(const StrategySpec& strategy) {
  if (!dual_writes(strategy)) return std::nullopt;
  return write_mode_of(strategy)->policy;
}

bool any_on(const Switches& switches) {
  return std::ranges::any_of(switches, [](const auto& one) { return one.second; });
}

// Of a strategy that writes to one side: some requests are answered by new, here or at another
// sidecar.
bool new_answers(const StrategySpec& strategy) {
  return std::visit(
      Visit{[](const BigBangSpec&) { return true; },
            [](const CanarySpec& canary) {
              return canary.read_percentage > 0 || canary.ramp ||
                     (canary.write_mode && canary.write_mode->write_percentage > 0);
            },
            [](const BlueGreenSpec& blue_green) { return blue_green.active_is_new; },
            [](const ShadowTrafficSpec&) { return false; },
            [](const RollingUpdateSpec& rolling) { return !rolling.migrated_instances.empty(); },
            [](const GeographicSpec& geographic) { return any_on(geographic.regions); },
            [](const TimeWindowSpec& window) { return window.executed; },
            [](const StranglerFigSpec& fig) { return any_on(fig.features); },
            [](const FeatureFlagSpec& flag) {
              return flag.rollout_percentage > 0 && any_on(flag.flags);
            }},
      strategy);
}

bool old_answers(const StrategySpec& strategy) {
  const auto* blue_green = std::get_if<BlueGreenSpec>(&strategy);
  const auto* canary = std::get_if<CanarySpec>(&strategy);
  if (blue_green != nullptr) return !blue_green->active_is_new;
  if (canary != nullptr) {
    return canary->read_percentage < 1 ||
           (canary->write_mode && canary->write_mode->write_percentage < 1);
  }
  const auto* window = std::get_if<TimeWindowSpec>(&strategy);
  return !std::holds_alternative<BigBangSpec>(strategy) && (window == nullptr || !window->executed);
}

// What only the other side lacks is nothing to it.
bool may_lack(Side side, const Ledger::Summary& summary) {
  return std::ranges::any_of(summary.reasons, [&](const LedgerReason& reason) {
    return lacking_side(reason.text) != other(side);
  });
}

// Behind a time in which writes went to one side, or each key's to one: that side has not got them
// all.
bool lacks_some(Side side, const StrategySpec& meanwhile) {
  return side == Side::New ? old_has_writes_alone(meanwhile) : moves_writes(meanwhile);
}

std::string keys(std::uint64_t count) { return std::to_string(count) + " keys"; }

// Writes go to one side, or each key's to one: who answers must have what `right` has.
std::optional<std::string> single_objection(const StrategySpec& patched, Side right,
                                            const Ledger::Summary& summary) {
  const auto answers = [&](Side one) {
    return one == Side::New ? new_answers(patched) : old_answers(patched);
  };
  const std::string lost = answers(right) ? what_was_lost(right, summary) : std::string();
  if (!lost.empty()) {
    return "ends the writes to both sides, though " + lost + ". What " + name_of(right) +
           " has lost is on " + name_of(other(right)) +
           " alone then: make that one right (policy), or roll back";
  }
  if (!answers(other(right))) return std::nullopt;
  const std::string side = name_of(other(right));
  const std::string former = name_of(right);
  if (const auto left = summary.right[static_cast<std::size_t>(right)]; left > 0) {
    return "ends the writes to both sides and lets " + side + " answer while the ledger has " +
           keys(left) + " of which " + former +
           " may have writes that are missing there; wait until it is empty";
  }
  if (!may_lack(other(right), summary)) return std::nullopt;
  return "ends the writes to both sides and lets " + side +
         " answer while any key may lack writes there that " + former +
         " has, as the migration needs full verification; verify it";
}

}  // namespace

bool old_has_writes_alone(const StrategySpec& strategy) {
  if (dual_writes(strategy)) return false;
  const auto& mode = write_mode_of(strategy);
  if (mode && mode->mode == WriteMode::Mode::Cutover) return mode->write_percentage < 1;
  const auto* canary = std::get_if<CanarySpec>(&strategy);
  return canary != nullptr ? canary->read_percentage < 1 : old_answers(strategy);
}

std::string what_was_lost(Side side, const Ledger::Summary& summary) {
  for (const LedgerReason& reason : summary.reasons) {
    if (reason.text.starts_with(side_lost(side))) return reason.text;
  }
  return {};
}

std::optional<std::string> right_side_objection(const Migration& migration,
                                                const StrategySpec& patched,
                                                const std::optional<Ledger::Summary>& known) {
  const StrategySpec& current = migration.spec.strategy;
  if (!routes(migration.status)) return std::nullopt;
  const Ledger::Summary summary = known.value_or(Ledger::Summary{});
  const auto before = authority_of(current);
  const auto after = authority_of(patched);
  if (!before && !after) {
    const bool begins = !new_answers(current) && new_answers(patched);
    return begins ? single_objection(patched, Side::Old, summary) : std::nullopt;
  }
  if (!after) return single_objection(patched, *before, summary);
  if (policy_of(current) == policy_of(patched)) return std::nullopt;
  const std::string side = name_of(*after);
  const std::string former = name_of(other(*after));
  const std::uint64_t elsewhere = summary.right[static_cast<std::size_t>(other(*after))];
  if (elsewhere > 0) {
    return "makes " + side + " right while the ledger has " + keys(elsewhere) + " of which " +
           former + " may have writes that are missing there; wait until it is empty";
  }
  if (!before && *after == Side::New && lacks_some(Side::New, current)) {
    return "makes new right while it lacks what old alone was given before; go by "
           "old_authoritative, and verify";
  }
  const bool lacks = before ? *before != *after : lacks_some(*after, current);
  const std::string lost = what_was_lost(other(*after), summary);
  if (lacks && may_lack(*after, summary) && !lost.empty()) {
    return "makes " + side + " right, and neither side is known to have all: " + lost + "; and " +
           side + " may lack writes that " + former + " has. Look which of them has more";
  }
  if (lacks && may_lack(*after, summary)) {
    return "makes " + side + " right while any key may lack writes there that " + former +
           " has, as the migration needs full verification; verify it";
  }
  return std::nullopt;
}

bool relies_on_new(const StrategySpec& strategy) {
  const auto right = authority_of(strategy);
  return right ? *right == Side::New : new_answers(strategy);
}

bool hands_over_to_new(const Migration& migration, const StrategySpec& patched,
                       const std::optional<Ledger::Summary>& known) {
  return routes(migration.status) && known && !relies_on_new(migration.spec.strategy) &&
         relies_on_new(patched);
}

bool begins_with_new_right(const Migration& migration) {
  if (routes(migration.status) && dual_writes(migration.spec.strategy)) return false;
  return authority_of(foreseen(migration.spec.strategy)) == Side::New;
}

std::optional<std::string> start_objection(const Migration& migration,
                                           const std::optional<Ledger::Summary>& summary) {
  if (!summary || !begins_with_new_right(migration)) return std::nullopt;
  return "new would be right, and lacks what old alone was given since this migration wrote "
         "to both sides before: start it with the policy old_authoritative, verify it, then PATCH "
         "the "
         "policy";
}

std::optional<std::string> completion_objection(const Ledger::Summary& summary) {
  if (const auto left = summary.right[static_cast<std::size_t>(Side::Old)]; left > 0) {
    return "the ledger has " + keys(left) + " of which old may have writes that new lacks";
  }
  if (!may_lack(Side::New, summary)) return std::nullopt;
  return "any key may lack writes on new that old has, as it needs full verification";
}

}  // namespace crossfade
