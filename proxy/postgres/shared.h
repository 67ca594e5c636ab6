// What sessions of PostgreSQL share over all loops, and with control.
#pragma once

#include "proxy/postgres/cancel_keys.h"
#include "strategies/ports.h"

namespace crossfade::postgres {

struct Shared {
  CancelKeys cancel_keys;
  // Set before the first table is published.
  CatalogDoor catalog;
  AuthDoor auth;
};

}  // namespace crossfade::postgres
