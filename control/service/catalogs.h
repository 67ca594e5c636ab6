// What PostgreSQL servers told of their catalogs, and what names in SQL stand for by that.
//
// Kept by endpoint; a catalog is made of it when a table is built, and again only when the server
// told something else. Where a server has not told, whatever is not PostgreSQL's own counts as a
// write: nothing fails. Any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "control/json/value.h"
#include "control/state.h"
#include "control/table_builder.h"
#include "strategies/ports.h"

namespace crossfade {

class Catalogs {
 public:
  explicit Catalogs(const Prober& prober) : prober_(prober) {}

  // Asks the server for the catalog of the database that the endpoint names, and keeps it, or why
  // it is not told. Blocks up to timeout_ms; nothing for Redis, or without a database or a user.
  // False: it did not answer, and what it told before serves.
  //   cost  on the server some 100 ms for an empty database
  bool read(const Endpoint& endpoint, std::uint32_t timeout_ms, std::stop_token stop = {});

  // It was told, or there is nobody to ask.
  bool knows(const Endpoint& endpoint) const;

  // For the interlay's route, before that endpoint.
  //   cost  where something else was told since the last call: some 10 ms for 3,000 rows
  CatalogOfDatabase of(const InterlayDefinition& interlay, const Endpoint& endpoint) const;

  // {"source": "server", "database", "read_at", "changed_at", "why": null}, or with "built_in" why
  // it is not the server's, and what to do; null for Redis.
  Json shown(const InterlayDefinition& interlay, const Endpoint& endpoint) const;

  void forget(const std::string& endpoint);  // uuid
  // Forgets what interlays had that are no more.
  void drop_unused(const State& state);

 private:
  // What one interlay makes of what was told.
  struct Made {
    std::shared_ptr<const CatalogRows> of;
    SqlNames names;                                       // and of the operator's words
    std::shared_ptr<const postgres::SqlCatalog> catalog;  // null: it is not understood
  };
  struct Known {
    EndpointAddress address;                        // where it was told
    std::shared_ptr<const CatalogRows> rows = {};   // null: not told
    std::string read_at = {};                       // when it last was
    std::string changed_at = {};                    // when it was last told anything else
    std::string why = {};                           // not told when last asked; empty: it was
    mutable std::map<std::string, Made> made = {};  // by uuid of the interlay
  };

  bool note(const Endpoint& endpoint, Result<CatalogRows> told);
  // With the mutex held: what is known there, null where nothing is; and its catalog.
  const Known* known_of(const Endpoint& endpoint) const;
  static std::shared_ptr<const postgres::SqlCatalog> make(const Known& known,
                                                          const InterlayDefinition& interlay);

  const Prober& prober_;
  mutable std::mutex mutex_;
  std::map<std::string, Known> known_;  // by uuid of the endpoint
};

}  // namespace crossfade
