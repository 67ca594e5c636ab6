// Threads of the control plane give way to event loops, which have the same cores.
#pragma once

namespace crossfade {

// The calling thread, and every thread that it starts, has a lower priority than event loops from
// now on: where both want a core, a loop has three times as much of it, and is not kept waiting as
// it wakes. Not for threads that a request of a client waits for (the ledger's).
void give_way();

}  // namespace crossfade
