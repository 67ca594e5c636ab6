// The two endpoints of a binding.
#pragma once

#include <array>
#include <cstdint>

#include "control/state.h"
#include "strategies/server_pair.h"

namespace crossfade {

using EndpointPair = std::array<const Endpoint*, kSides>;  // by side; never null

// Of a binding whose interlay and endpoints are in the state; they live as long as that.
inline EndpointPair sides_of(const State& state, const Binding& binding) {
  const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
  return {state.endpoints.at(interlay.endpoint).get(), state.endpoints.at(binding.endpoint).get()};
}

inline std::uint64_t pair_of(const EndpointPair& sides) {
  return pair_of(sides[0]->address, sides[1]->address);
}

}  // namespace crossfade
