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
#include <string_view>
#include <vector>

#include "proxy/copy_leave.h"
#include "proxy/expiries.h"
#include "proxy/repair_rest.h"
#include "proxy/write_order.h"
#include "strategies/ports.h"
#include "strategies/table.h"

namespace crossfade {

// Connections to one server that were given up while a write was under way on them. The server may
// still run what it has of them: nothing that is copied there is believed before they are gone.
class Ghosts {
 public:
  void add(ServersClient client) {
    const std::lock_guard held(mutex_);
    clients_.push_back(std::move(client));
  }
  std::vector<ServersClient> list() const {
    const std::lock_guard held(mutex_);
    return clients_;
  }
  void fenced(const std::vector<ServersClient>& gone) {
    const std::lock_guard held(mutex_);
    std::erase_if(clients_, [&](const ServersClient& client) {
      return std::find(gone.begin(), gone.end(), client) != gone.end();
    });
  }

 private:
  mutable std::mutex mutex_;
  std::vector<ServersClient> clients_;
};

struct SharedWrites {
  WriteOrder order;
  Expiries expiries;
  std::array<Ghosts, kSides> ghosts;
  RepairRest rest;
};

class SharedWritesRegistry {
 public:
  // The same object for the same pair of servers, made on first use and kept.
  std::shared_ptr<SharedWrites> of(const InterlayRoute& route) {
    const std::string servers = name_of_pair(route.old_side, *route.new_side);
    const std::lock_guard held(mutex_);
    auto& found = by_servers_[servers];
    if (!found) found = std::make_shared<SharedWrites>();
    auto& all = by_migration_[route.migration];
    if (std::find(all.begin(), all.end(), found) == all.end()) all.push_back(found);
    return found;
  }

  // For the repair worker; see RepairDoors.
  std::shared_ptr<void> hold(const RepairTask& task, std::uint32_t timeout_ms);
  std::vector<ServersClient> ghosts(const RepairTask& task, Side side);
  void fenced(const RepairTask& task, Side side, const std::vector<ServersClient>& gone);
  // Where there is no room for it, the migration says so.
  void set_expiry(const RepairTask& task, std::uint64_t at_ms);
  void rest(const RepairTask& task);
  bool wake(const RepairTask& task, std::uint32_t timeout_ms);

  // For verification; see EventLoops.
  bool see_expiry(const EndpointAddress& old_side, const EndpointAddress& new_side, std::int32_t db,
                  std::string_view key, std::uint64_t at_ms);

  // While one of these is alive, what is right at a key may change: nobody rests, and no write that
  // relied on a rest is in flight, but for those that did not end in time. Their migrations say
  // that they need full verification.
  class NoRest {
   public:
    explicit NoRest(SharedWritesRegistry& registry);
    ~NoRest();
    NoRest(const NoRest&) = delete;
    NoRest& operator=(const NoRest&) = delete;

   private:
    std::vector<std::shared_ptr<SharedWrites>> forbidden_;
  };

  CopyLeave copy_leave;

  LedgerDoor ledger;  // set before the first loop starts

 private:
  static std::string name_of_pair(const EndpointAddress& one, const EndpointAddress& other) {
    return one.host + ':' + std::to_string(one.port) + ' ' + other.host + ':' +
           std::to_string(other.port);
  }
  // Null: nothing was ever written through to both.
  std::shared_ptr<SharedWrites> between(const EndpointAddress& old_side,
                                        const EndpointAddress& new_side);
  std::shared_ptr<SharedWrites> of(const RepairTask& task) {
    return between(task.old_side, task.new_side);
  }
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<SharedWrites>> by_servers_;
  std::map<std::string, std::vector<std::shared_ptr<SharedWrites>>> by_migration_;
};

}  // namespace crossfade
