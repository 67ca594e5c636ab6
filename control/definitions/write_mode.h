// How writes are handled, as the operator writes it: "write_mode" of any strategy.
#pragma once

#include "control/json/fields.h"
#include "strategies/policy.h"

namespace crossfade {

struct WriteModeSpec {
  WriteMode::Mode mode = WriteMode::Mode::DualWrite;
  Policy policy = Policy::OldAuthoritative;  // DualWrite
  double write_percentage = 0;               // Cutover; 0..1
  Engine engine = Engine::Effect;            // DualWrite; Effect is what no "engine" means

  bool operator==(const WriteModeSpec&) const = default;
};

// Reads {"mode": "dual_write", "policy"?, "engine"?} or {"mode": "cutover", "write_percentage"}.
//   errors  BadInput: "strategy.write_mode.mode: must be dual_write or cutover"
Result<WriteModeSpec> read_write_mode(const Json& json, const std::string& path);

Json render(const WriteModeSpec& spec);

}  // namespace crossfade
