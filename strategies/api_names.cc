// Of the sets that a route may have, the one that it has.
#include "strategies/api_names.h"

#include "strategies/api_keys.h"
#include "strategies/api_set.h"
#include "strategies/sql_api_set.h"
#include "strategies/table.h"

namespace crossfade {

const ApiNames* names_of(const InterlayRoute& route) {
  if (route.apis) return &route.apis->names();
  if (route.api_keys) return &route.api_keys->names();
  return route.sql_apis ? &route.sql_apis->names() : nullptr;
}

}  // namespace crossfade
