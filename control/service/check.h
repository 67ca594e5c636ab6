// What a test of a migration found, one check at a time.
#pragma once

#include <string>
#include <vector>

#include "control/answer.h"
#include "control/json/value.h"

namespace crossfade {

struct Check {
  std::string name = {};      // "new_reachable"
  std::string interlay = {};  // id; empty when it concerns the migration as a whole
  bool ok = true;
  std::string detail = {};  // a sentence
};

bool passed(const std::vector<Check>& checks);
Json render(const Check& check);

// The refusal of what they object to: `what` ("the test of migration 'm' failed"), and those that
// failed.
Refusal refusal_of(const std::string& what, const std::vector<Check>& checks);

}  // namespace crossfade
