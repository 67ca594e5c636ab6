// Who is asked for a token where, and what becomes of those who have none.
#pragma once

#include <cstdint>

#include "control/http/token_failures.h"

namespace crossfade {

struct EntryRules {
  bool probes_token = false;   // /healthz and /readyz need one
  bool metrics_token = false;  // /metrics needs one
  TokenFailureLimits failures = {};
  std::uint32_t refusals_logged_per_minute = 60;  // lines
};

}  // namespace crossfade
