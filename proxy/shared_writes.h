// What the loops of a process share for everything that is written to both sides: the order of
// writes, the connections that were given up in the midst of one, and the door to the ledger.
//
// Any thread. Two interlays with the same servers behind them share one order.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

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

// When keys are about to expire, as far as writes have told. A write that meets that moment may
// find its key on one side and not on the other: it must not be trusted to do the same on both.
class Expiries {
 public:
  // Around the moment itself: how long legs take, and how far the clocks of both servers and ours
  // may be apart.
  static constexpr std::uint64_t kMarginMs = 1'000;

  void set(std::uint64_t key, std::uint64_t at_ms, std::uint64_t now_ms) {
    const std::lock_guard held(mutex_);
    if (at_.size() >= kKeysMax) {
      std::erase_if(at_, [&](const auto& one) { return one.second + kMarginMs < now_ms; });
      if (at_.size() >= kKeysMax) return;
    }
    at_[key] = at_ms;
    count_.store(at_.size(), std::memory_order_relaxed);
  }
  // Is any known? Cheap; while there is none nobody need ask the clock.
  bool any() const { return count_.load(std::memory_order_relaxed) > 0; }
  // Whether the key expires, or has expired, between these moments.
  bool meets(std::uint64_t key, std::uint64_t from_ms, std::uint64_t to_ms) {
    if (!any()) return false;
    const std::lock_guard held(mutex_);
    const auto found = at_.find(key);
    if (found == at_.end() || to_ms + kMarginMs < found->second) return false;
    if (from_ms <= found->second + kMarginMs) return true;
    at_.erase(found);  // it is long over
    count_.store(at_.size(), std::memory_order_relaxed);
    return false;
  }

 private:
  static constexpr std::size_t kKeysMax = 1'000'000;
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::uint64_t> at_;  // key's hash -> Unix time, ms
  std::atomic<std::size_t> count_{0};
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
    const std::string servers =
        name_of_server(route.old_side) + ' ' + name_of_server(*route.new_side);
    const std::lock_guard held(mutex_);
    auto& found = by_servers_[servers];
    if (!found) found = std::make_shared<SharedWrites>();
    auto& all = by_migration_[route.migration];
    if (std::find(all.begin(), all.end(), found) == all.end()) all.push_back(found);
    return found;
  }

  // All that a migration has ever written through.
  std::vector<std::shared_ptr<SharedWrites>> of(const std::string& migration) {
    const std::lock_guard held(mutex_);
    const auto found = by_migration_.find(migration);
    return found == by_migration_.end() ? std::vector<std::shared_ptr<SharedWrites>>()
                                        : found->second;
  }

  // For the repair worker; see RepairDoors.
  std::shared_ptr<void> hold(const std::string& migration, const SuspectKey& at,
                             std::uint32_t timeout_ms);
  std::vector<ServersClient> ghosts(const std::string& migration, Side side);
  void fenced(const std::string& migration, Side side, const std::vector<ServersClient>& gone);
  void rest(const std::string& migration);
  bool wake(const std::string& migration, std::uint32_t timeout_ms);

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

  LedgerDoor ledger;  // set before the first loop starts

 private:
  static std::string name_of_server(const EndpointAddress& address) {
    return address.host + ':' + std::to_string(address.port);
  }
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<SharedWrites>> by_servers_;
  std::map<std::string, std::vector<std::shared_ptr<SharedWrites>>> by_migration_;
};

}  // namespace crossfade
