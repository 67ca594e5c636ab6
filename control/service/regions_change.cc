// Networks compared, before and after.
#include "control/service/regions_change.h"

#include <variant>

#include "control/lifecycle.h"
#include "control/service/towards_old.h"

namespace crossfade {

namespace {

// Null: none that goes by its clients' networks.
MigrationPtr routed_by_regions(const State& state, const std::string& interlay) {
  MigrationPtr migration = migration_of(state, interlay);
  const bool goes_by = migration != nullptr && routes(migration->status) &&
                       migration->status != MigrationStatus::Completed &&
                       std::holds_alternative<GeographicSpec>(migration->spec.strategy) &&
                       moves_writes(migration->spec.strategy) &&
                       !binding_of(*migration, interlay)->taken_back;
  return goes_by ? migration : nullptr;
}

}  // namespace

std::optional<NewOnlyWrites::Count> journal_regions(Keeper::Turn& turn, const State& before,
                                                    NewOnlyWrites& new_only_writes,
                                                    const std::string& actor) {
  std::optional<NewOnlyWrites::Count> last;
  for (const auto& [uuid, interlay] : turn.next.interlays) {
    const auto former = before.interlays.find(uuid);
    if (former == before.interlays.end() || former->second->regions == interlay->regions) continue;
    const MigrationPtr migration = routed_by_regions(turn.next, uuid);
    if (migration == nullptr) continue;
    new_only_writes.sample();
    last = new_only_writes.count(migration->identity.uuid, uuid);
    const std::string left = left_on_new_so_far(*last);
    const char* const status = name_of(migration->status);
    turn.journal(migration->identity.uuid, actor, status, status,
                 "interlay '" + interlay->identity.id +
                     "' tells its clients' regions by other networks" +
                     (left.empty() ? "" : "; who goes back to old by that misses some: " + left));
  }
  return last;
}

}  // namespace crossfade
