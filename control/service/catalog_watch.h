// Keeps the catalogs of PostgreSQL interlays as their servers have them: asks again every few
// seconds while a migration may route by them, and soon after definitions were changed through an
// interlay. A table is published only where the answer is another one.
//
// Definitions that are changed elsewhere are seen at the next question: until then a function that
// has become volatile is taken for what it was.
#pragma once

#include <chrono>
#include <memory>
#include <set>
#include <stop_token>
#include <string>
#include <thread>

#include "control/service/catalog_bell.h"
#include "control/service/keeper.h"
#include "control/service/servers.h"

namespace crossfade {

inline constexpr std::uint32_t kCatalogTimeout_ms = 10'000;  // for one server to tell all of it

class CatalogWatch {
 public:
  // `pause`: between two questions to the same server.
  CatalogWatch(Keeper& keeper, Servers& servers, std::shared_ptr<CatalogBell> bell,
               std::chrono::milliseconds pause)
      : keeper_(keeper), servers_(servers), bell_(std::move(bell)), pause_(pause) {}
  ~CatalogWatch() { stop(); }
  CatalogWatch(const CatalogWatch&) = delete;
  CatalogWatch& operator=(const CatalogWatch&) = delete;

  void start();
  // Returns when the thread has ended: within a second, unless the system's resolver takes longer.
  void stop();

  // One round: asks the servers of the interlays that `rung` names, or, where it is null, of all
  // that a migration may route by; then puts into force what has changed.
  void look(const std::set<std::string>* rung, const std::stop_token& stop);

 private:
  void work(const std::stop_token& stop);

  Keeper& keeper_;
  Servers& servers_;
  const std::shared_ptr<CatalogBell> bell_;
  const std::chrono::milliseconds pause_;
  std::jthread thread_;
};

}  // namespace crossfade
