// What the loops of a process share for everything that is written to both sides: the order of
// writes, the connections that were given up in the midst of one, and the door to the ledger.
//
// Any thread. Two interlays with the same servers behind them share one order.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/write_order.h"
#include "strategies/ports.h"
#include "strategies/table.h"

namespace crossfade {

// Connections to one server that were given up while a write was under way on them. The server may
// still run what it has of them: nothing that is copied there is believed before they are gone.
class Ghosts {
 public:
  void add(std::int64_t client_id) {
    const std::lock_guard held(mutex_);
    ids_.push_back(client_id);
  }
  std::vector<std::int64_t> list() const {
    const std::lock_guard held(mutex_);
    return ids_;
  }
  void fenced(const std::vector<std::int64_t>& ids) {
    const std::lock_guard held(mutex_);
    std::erase_if(ids_, [&](std::int64_t id) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::int64_t> ids_;
};

struct SharedWrites {
  WriteOrder order;
  std::array<Ghosts, kSides> ghosts;
};

class SharedWritesRegistry {
 public:
  // The same object for the same pair of servers, made on first use and kept.
  std::shared_ptr<SharedWrites> of(const InterlayRoute& route) {
    const std::string servers = name_of_server(route.old_side) + ' ' + name_of_server(*route.new_side);
    const std::lock_guard held(mutex_);
    auto& found = by_servers_[servers];
    if (!found) found = std::make_shared<SharedWrites>();
    return found;
  }

  LedgerDoor ledger;  // set before the first loop starts

 private:
  static std::string name_of_server(const EndpointAddress& address) {
    return address.host + ':' + std::to_string(address.port);
  }
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<SharedWrites>> by_servers_;
};

}  // namespace crossfade
