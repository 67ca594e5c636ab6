// Steps of migrations, in a turn's state.
#include "control/service/migration_steps.h"

#include <variant>

#include "control/json/write.h"

namespace crossfade {

void set_status(Keeper::Turn& turn, const std::string& uuid, MigrationStatus to,
                const std::string& actor, const std::string& reason) {
  Migration migration = *turn.next.migrations.at(uuid);
  turn.journal(uuid, actor, name_of(migration.status), name_of(to), reason);
  migration.status = to;
  migration.reason = reason.substr(0, kReasonMax);
  turn.touch(migration.identity);
  put(turn.next.migrations, std::move(migration));
}

void set_executed(Keeper::Turn& turn, const std::string& uuid, bool executed) {
  Migration migration = *turn.next.migrations.at(uuid);
  auto* window = std::get_if<TimeWindowSpec>(&migration.spec.strategy);
  if (window == nullptr || window->executed == executed) return;
  window->executed = executed;
  turn.touch(migration.identity);
  put(turn.next.migrations, std::move(migration));
}

void set_ramp_back(Keeper::Turn& turn, const std::string& uuid, const std::string& actor) {
  Migration migration = *turn.next.migrations.at(uuid);
  auto* canary = std::get_if<CanarySpec>(&migration.spec.strategy);
  if (canary == nullptr || !canary->ramp) return;
  const double first = canary->ramp->steps.front();
  if (canary->read_percentage <= first) return;
  const char* const status = name_of(migration.status);
  turn.journal(uuid, actor, status, status,
               "ramp: read_percentage goes back from " + to_text(Json(canary->read_percentage)) +
                   " to " + to_text(Json(first)));
  canary->read_percentage = first;
  turn.touch(migration.identity);
  put(turn.next.migrations, std::move(migration));
}

const InterlayDefinition* settled_interlay(const State& state, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const InterlayPtr interlay = state.interlays.at(binding.interlay);
    if (interlay->endpoint == binding.endpoint) return interlay.get();
  }
  return nullptr;
}

bool stands_as(const State& state, const Migration& seen) {
  const auto found = state.migrations.find(seen.identity.uuid);
  return found != state.migrations.end() &&
         found->second->identity.version == seen.identity.version;
}

}  // namespace crossfade
