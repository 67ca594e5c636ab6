// The certificates of a state: loaded before it comes into force, read again on SIGHUP.
//
// Each stands for itself: one that can not be read leaves what was loaded before, and says so.
#pragma once

#include "control/config.h"
#include "control/state.h"
#include "protocols/base/result.h"

namespace crossfade {

// Loads what `next` has and `before` does not. What was made through the API and can not be loaded
// any more is logged, and its connections fail until it can be: others have to be served.
//   declared  as `next` has it: gives errors their place
//   errors    BadConfig: "interlays[0].tls.server_cert: can not read …"
Status load_certificates(const State& before, const State& next, const DeclaredResources& declared);

// Reads all of them again. Handshakes from now on use what is new; sessions go on.
void reload_certificates(const State& state);

// The same for the one of the control port, null where it has none.
void reload_certificate(const PortTls& tls, const std::string& whose);

}  // namespace crossfade
