// `crossfade migrations watch`: asks for a migration's status until it has ended.
#pragma once

#include <cstdint>
#include <string>

#include "client/api_client.h"
#include "client/watch_view.h"
#include "protocols/base/result.h"

namespace crossfade {

struct WatchOptions {
  double interval_s = 1.0;
  bool json = false;              // each status as one line of JSON, and no journal
  std::uint32_t patience_s = 60;  // how long the sidecar may not be reached, as when it restarts
};

// Prints to the standard output. On a terminal the status is redrawn in place, with new lines of
// the journal above it; elsewhere each look that shows something else is printed.
//   errors  Unavailable: not reached for `patience_s`; Conflict: refused, as the message says
Result<Ending> watch_migration(ApiClient& client, const std::string& id,
                               const WatchOptions& options);

}  // namespace crossfade
