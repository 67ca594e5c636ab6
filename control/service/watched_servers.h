// Which servers the watch for restarts is to watch, and where it tells what it saw.
#pragma once

#include <string>
#include <vector>

#include "control/ledger/ledger.h"
#include "control/service/keeper.h"
#include "strategies/ports.h"

namespace crossfade {

// The server at an endpoint's address, as the ledger keeps it.
LedgerServer ledger_server(Side side, const EndpointAddress& address, const ServerSight& sight);

class WatchedServers {
 public:
  WatchedServers(const Keeper& keeper, Ledger& ledger) : keeper_(keeper), ledger_(ledger) {}

  // As WatchDoors has them. Any thread.
  std::vector<WatchedServer> all() const;
  void saw(const WatchedServer& server, const ServerSight& sight);

 private:
  const Keeper& keeper_;
  Ledger& ledger_;
};

}  // namespace crossfade
