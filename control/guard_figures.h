// What guardrails have done by themselves, as control counts it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace crossfade {

// What was crossed. The values of the `cause` label.
enum class GuardCause : std::uint8_t { ErrorRate, P99Ratio, MismatchRate, NewSideDown };
inline constexpr std::size_t kGuardCauses = 4;
constexpr const char* name_of(GuardCause cause) {
  switch (cause) {
    case GuardCause::ErrorRate:
      return "error_rate";
    case GuardCause::P99Ratio:
      return "p99_ratio";
    case GuardCause::MismatchRate:
      return "mismatch_rate";
    case GuardCause::NewSideDown:
      return "new_side_down";
  }
  return "new_side_down";
}

// What was done. The values of the `action` label.
enum class GuardAction : std::uint8_t { Pause, Retry, RollbackInterlay, Rollback };
inline constexpr std::size_t kGuardActions = 4;
constexpr const char* name_of(GuardAction action) {
  switch (action) {
    case GuardAction::Pause:
      return "pause";
    case GuardAction::Retry:
      return "retry";
    case GuardAction::RollbackInterlay:
      return "rollback_interlay";
    case GuardAction::Rollback:
      return "rollback";
  }
  return "rollback";
}

// How often. [action][cause]
using GuardFigures = std::array<std::array<std::uint64_t, kGuardCauses>, kGuardActions>;

}  // namespace crossfade
