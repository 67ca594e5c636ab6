// Policies compared, entries counted.
#include "control/service/right_side.h"

#include <variant>

#include "control/lifecycle.h"

namespace crossfade {

namespace {

// Of its dual writes; nullopt: it does none.
std::optional<Policy> policy_of(const StrategySpec& strategy) {
  if (!dual_writes(strategy)) return std::nullopt;
  return write_mode_of(strategy)->policy;
}

}  // namespace

std::optional<std::string> right_side_objection(const Migration& migration,
                                                const StrategySpec& patched,
                                                const Ledger::Summary& summary) {
  const StrategySpec& current = migration.spec.strategy;
  const auto after = authority_of(patched);
  if (!routes(migration.status) || !after || policy_of(current) == policy_of(patched)) {
    return std::nullopt;
  }
  const std::string side = name_of(*after);
  const std::string former = name_of(other(*after));
  const std::uint64_t elsewhere = summary.right[static_cast<std::size_t>(other(*after))];
  if (elsewhere > 0) {
    return "makes " + side + " right while the ledger has " + std::to_string(elsewhere) +
           " keys of which " + former +
           " may have writes that are missing there; wait until it is empty";
  }
  const auto before = authority_of(current);
  if (before && *before != *after && !summary.reasons.empty()) {
    return "makes " + side + " right while any key may lack writes there that " + former +
           " has, as the migration needs full verification; verify it";
  }
  return std::nullopt;
}

}  // namespace crossfade
