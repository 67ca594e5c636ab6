// From what is stored and declared to open ports, at the start and on SIGHUP.
#pragma once

#include "control/config.h"
#include "control/service/conductor.h"
#include "control/service/dual_writes.h"
#include "control/service/keeper.h"
#include "control/service/listeners.h"
#include "control/service/new_only_writes.h"
#include "control/service/servers.h"
#include "protocols/base/result.h"

namespace crossfade {

struct BootParts {
  Keeper& keeper;
  Servers& servers;
  Listeners& listeners;
  NewOnlyWrites& new_only_writes;
  DualWrites& dual_writes;
  Conductor& conductor;
};

// Restores, merges what is declared, publishes, and only then opens the ports: the first client
// meets the table that the last answered call left.
//   errors  BadConfig: the store or the file; others: what could not be opened
Status boot(BootParts parts, const DeclaredResources& declared);

// Brings a newly read file into force: all of it, or nothing.
Status redeclare(BootParts parts, const DeclaredResources& declared);

}  // namespace crossfade
