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
// A port that can not be opened holds up nobody else: its interlay does not listen, and says why.
//   errors  BadConfig: the store or the file
Status boot(BootParts parts, const DeclaredResources& declared);

// Opens those ports that boot could not, and may now. Nothing where there are none.
void open_late_ports(Keeper& keeper, Listeners& listeners);

// Brings a newly read file into force: all of it, or nothing.
Status redeclare(BootParts parts, const DeclaredResources& declared);

}  // namespace crossfade
