// Guardrails: what must not happen on new while a migration runs, and what is done when it does.
//
// What each rate counts is decision 0026's; who looks is control/service/guard.h.
#pragma once

#include <cstdint>
#include <optional>

#include "control/json/value.h"
#include "protocols/base/result.h"

namespace crossfade {

struct Guardrails {
  enum class Action : std::uint8_t {
    Rollback,  // what failure_handling says
    Pause      // routing stays as it is
  };
  std::uint32_t window_s = 60;
  std::uint32_t min_requests = 100;  // fewer than that say nothing
  // Crossed above; nullopt: not looked at.
  std::optional<double> error_rate = {};                  // of what new was asked, 0 to 1
  std::optional<double> p99_ratio = {};                   // new's to old's, 1 or more
  std::optional<double> mismatch_rate = {};               // confirmed, of replies compared
  std::optional<std::uint32_t> new_side_down_s = kDownS;  // so long in one go
  Action action = Action::Rollback;

  static constexpr std::uint32_t kDownS = 60;
  bool operator==(const Guardrails&) const = default;
};

// Reads null, or an object of which every member may be left out. Null in a member switches it off;
// only new_side_down_s is on when it is absent.
Result<std::optional<Guardrails>> read_guardrails(const Json& json, const std::string& path);

Json render(const std::optional<Guardrails>& guardrails);  // null, or all members

}  // namespace crossfade
