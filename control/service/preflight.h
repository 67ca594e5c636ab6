// The test of a migration before it starts: connects to both sides, asks, and judges. Changes
// nothing.
#pragma once

#include <string>
#include <vector>

#include "control/json/value.h"
#include "control/service/servers.h"
#include "control/state.h"

namespace crossfade {

struct Check {
  std::string name = {};      // "new_reachable"
  std::string interlay = {};  // id; empty when it concerns the migration as a whole
  bool ok = true;
  std::string detail = {};  // a sentence
};

// All checks, in the order of their asking. Blocks for up to kCheckTimeout_ms for each server.
std::vector<Check> preflight(const State& state, const Migration& migration, Servers& servers);

bool passed(const std::vector<Check>& checks);
Json render(const Check& check);

}  // namespace crossfade
