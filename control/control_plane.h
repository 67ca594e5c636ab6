// The control plane: state, store, HTTP port and metrics of one process, as main sees them.
//
//   ControlPlane control(config, data_plane, prober, verifier);
//   start()    restores the last answered state, publishes it, opens the listeners, serves HTTP
//   reload()   on SIGHUP: reads the configuration file again
//   drain()    on SIGTERM: readiness says no; calls that change something are refused, full
//              verifications end
//   stop()     ends HTTP and the background threads, closes ledger and store: every write has been
//              answered by then. Listeners are main's to close
//
// start, reload and stop block; call them from a thread that is not an event loop, as publishing
// waits for every loop. Knows nothing of loops, sockets of the data plane, or database clients.
#pragma once

#include <memory>
#include <string>

#include "control/config.h"
#include "control/service/mismatches.h"
#include "protocols/base/result.h"
#include "strategies/ports.h"

namespace crossfade {

class ControlPlane {
 public:
  ControlPlane(ProcessConfig config, DataPlane data_plane, Prober prober, Verifier verifier);
  ~ControlPlane();  // stops
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  // When it returns success, clients are accepted and every loop routes as the last answered call
  // said.
  //   errors  BadConfig: exit 2; anything else: the message says what could not be opened and what
  //   to do
  Status start();

  // "127.0.0.1:8000", with the port that was really bound. Valid after start().
  std::string address() const;

  // Reads the configuration file again: declared resources, tokens and log level. All or nothing.
  Status reload();

  // For the data plane; valid before start(), and after the end of this.
  LedgerDoor ledger_door();
  // Likewise.
  CatalogDoor catalog_door();
  // For the repair worker: `due` and `settle`; the others are the data plane's to add. Valid from
  // start() to stop().
  RepairDoors repair_doors();

  // For the watch for restarts. Valid from start() to stop().
  WatchDoors watch_doors();

  // What "mismatches" of …/divergence shows. Before start().
  void show_mismatches(Mismatches mismatches);
  // Who tries the auth queries that interlays are given. Before start(); not called after stop().
  void set_auth_door(AuthDoor door);

  void drain();
  void stop();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace crossfade
