// The data plane: the event loops, and the door through which control drives them from its own
// threads.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "protocols/base/result.h"
#include "proxy/counters.h"
#include "proxy/loop.h"
#include "strategies/ports.h"

namespace crossfade {

class EventLoops {
 public:
  // Pairs of replies that differ go to the door of `comparison`.
  EventLoops(unsigned count, const Comparison& comparison);
  ~EventLoops();
  EventLoops(const EventLoops&) = delete;
  EventLoops& operator=(const EventLoops&) = delete;

  Status start();
  // Ends every session and joins the threads.
  void stop();

  // Where keys that may differ are written down. Before the first table is published.
  void set_ledger(LedgerDoor ledger) { shared_writes_.ledger = std::move(ledger); }

  // Whom to tell that definitions have changed. Before the first table is published.
  void set_catalog(CatalogDoor catalog) { postgres_.catalog = std::move(catalog); }

  // Where users of PostgreSQL are looked up. Likewise; it is used until stop().
  void set_auth_door(AuthDoor door) { postgres_.auth = std::move(door); }

  // Adds to the doors of the repair worker those that lead here.
  void open_doors(RepairDoors& doors);

  // A key of these two servers expires then (Unix time, ms), as verification has read it. False:
  // that is more than is remembered. Any thread.
  bool see_expiry(const EndpointAddress& old_side, const EndpointAddress& new_side, std::int32_t db,
                  std::string_view key, std::uint64_t at_ms) {
    return shared_writes_.see_expiry(old_side, new_side, db, key, at_ms);
  }

  // What control is handed. Its functions block; they are never called on a loop's thread.
  DataPlane data_plane();

 private:
  Status publish(TablePtr table);
  Result<std::uint16_t> listen(const ListenSpec& spec);
  void unlisten(const std::string& interlay, std::uint32_t drain_ms);
  Telemetry telemetry();
  // With mutex_ held.
  void count_apis(const std::string& interlay, const std::vector<std::string>& apis);

  SharedWritesRegistry shared_writes_;
  postgres::Shared postgres_;
  std::vector<std::unique_ptr<Loop>> loops_;
  bool running_ = false;

  TablePtr table_;  // adopted by all loops; publish() is called by one thread at a time

  std::mutex mutex_;
  // By interlay id, one entry per loop; kept when an interlay goes and comes back, as counters only
  // grow.
  std::map<std::string, std::vector<std::shared_ptr<InterlayCounters>>>
      counters_;                        // guarded by mutex_
  std::vector<std::string> published_;  // guarded by mutex_
  // By interlay id, and by api, where its route goes by apis; one entry per loop.
  std::map<std::string, std::map<std::string, ApiCounters>> api_counters_;  // guarded by mutex_
};

}  // namespace crossfade
