// What the configuration file declares, brought into a state. Pure.
#pragma once

#include "control/config.h"
#include "control/state.h"
#include "protocols/base/result.h"

namespace crossfade {

// Adds, changes and removes the resources of Origin::File so that `state` has exactly the declared
// ones; uuids of those that were there stay. A declared port of 0 keeps the port that the interlay
// has.
//   errors  BadConfig with the JSON path ("interlays[1].id: 'x' was made through the API"); `state`
//   may
//           then be half changed
Status reconcile(State& state, const DeclaredResources& declared, const Self& self = {});

}  // namespace crossfade
