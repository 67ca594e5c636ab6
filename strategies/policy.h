// Write policies of dual writes: who decides what the client sees, and how the other side follows.
#pragma once

#include <cstdint>

#include "strategies/plan.h"

namespace crossfade {

enum class Policy : std::uint8_t {
  OldAuthoritative,  // old's outcome is the client's
  NewAuthoritative,  // new's outcome is the client's
  BestEffort         // success if either succeeded; old's reply if it did
};

// By what a write reaches the side that does not decide.
enum class Engine : std::uint8_t {
  Effect,    // Redis: it is repeated there by what it did, in the order of its keys
  Statement  // PostgreSQL: the statements of its transaction are run there, too, in lock-step
};

// How writes are handled. Without a write mode (std::nullopt) writes follow reads.
struct WriteMode {
  enum class Mode : std::uint8_t { DualWrite, Cutover } mode = Mode::DualWrite;
  Policy policy = Policy::OldAuthoritative;  // DualWrite
  std::uint32_t write_share = 0;             // Cutover; parts per million of the key space on new
  Engine engine = Engine::Effect;            // DualWrite

  bool operator==(const WriteMode&) const = default;
};

// The plan of one dual write.
Plan plan_dual_write(Policy policy);

}  // namespace crossfade
