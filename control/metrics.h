// Telemetry -> Prometheus text. Pure: what the numbers mean is strategies/telemetry.h's to say.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "control/guard_figures.h"
#include "control/http/token_failures.h"
#include "control/ledger/entry.h"
#include "strategies/telemetry.h"

namespace crossfade {

// What control itself adds to the data plane's numbers.
struct ControlFigures {
  std::string version;
  std::string instance;
  std::string region;
  std::map<int, std::uint64_t> requests;  // answered, by HTTP status
  LedgerFigures ledger = {};
  TokenFailureCounts token_failures = {};
  GuardFigures guard = {};
  bool state_unstored = false;     // what is in force is not in the store
  bool state_not_written = false;  // the state file took nothing when it was last written to
};

// Prometheus text exposition format, version 0.0.4. Labels hold ids of interlays and fixed words
// and migrations and fixed words only.
//   cost  about 300 lines an interlay, most of them histogram buckets
std::string render_metrics(const Telemetry& telemetry, const ControlFigures& control);

}  // namespace crossfade
