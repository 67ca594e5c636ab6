// State -> routing table. Pure.
#pragma once

#include <functional>
#include <memory>

#include "control/state.h"
#include "protocols/redis/command.h"
#include "strategies/table.h"

namespace crossfade {

// The command table to use for requests that are classified by this endpoint; never null.
using CommandsOf = std::function<std::shared_ptr<const redis::CommandTable>(const Endpoint&)>;

// What the server of a PostgreSQL interlay told of its catalog, and of which database; for Redis
// nothing. See InterlayRoute.
struct CatalogOfDatabase {
  std::shared_ptr<const postgres::SqlCatalog> catalog = {};
  std::string database = {};
};
using CatalogOf = std::function<CatalogOfDatabase(const InterlayDefinition&, const Endpoint&)>;

// What servers told.
struct Learned {
  CommandsOf commands_of;
  CatalogOf catalog_of;
};

// Builds the routes of all interlays, running or not, in the order of their uuids.
//   self      the sidecar that they are of
//   previous  routes that are still right are taken over as they are, so that equal routes are the
//   same
//             object; may be null
//   errors    none: references inside a state are whole
//   cost      O(interlays * migrations)
Table build_table(const State& state, std::uint64_t epoch, const InterlaySettings& defaults,
                  const Self& self, const Learned& learned, const Table* previous);

// True when both route every request alike, whatever their epochs.
bool same_routes(const Table& one, const Table& other);

}  // namespace crossfade
