// What a guard has seen of an interlay, beside its limits, as callers are shown it.
#pragma once

#include <cstdint>
#include <optional>

#include "control/definitions/guardrails.h"
#include "control/guard_window.h"
#include "control/json/value.h"

namespace crossfade {

struct GuardView {
  WindowFigures window;
  std::optional<std::int64_t> down_for_ms = {};  // new does not answer
  std::uint32_t retries = 0;                     // that were begun
};

// Null without guardrails, or where nothing is looked at.
Json render(const std::optional<GuardView>& view, const std::optional<Guardrails>& rails);

}  // namespace crossfade
