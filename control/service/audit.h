// What was changed of a definition, and what was deleted, in words for the log and the journal:
// never a secret.
#pragma once

#include <cstdint>
#include <string>

#include "control/definitions/migration.h"
#include "control/state.h"

namespace crossfade {

// What became of the resource (uuid) between two states; "nothing" where it stayed as it was.
std::string endpoint_change(const State& before, const State& after, const std::string& uuid);
std::string interlay_change(const State& before, const State& after, const std::string& uuid);
std::string template_change(const State& before, const State& after, const std::string& uuid);
std::string api_change(const State& before, const State& after, const std::string& uuid);

// Of the definition of a migration; empty: nothing.
std::string migration_change(const MigrationSpec& before, const MigrationSpec& after);

// What a migration was when it was deleted; its journal goes with it.
std::string last_of(const State& state, const Migration& migration, std::uint64_t events);

// A line for each resource that the configuration file has brought, changed or taken away.
void log_declared(const State& before, const State& after);

}  // namespace crossfade
