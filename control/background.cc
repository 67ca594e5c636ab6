// Priorities by thread, as Linux has them.
#include "control/background.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

namespace crossfade {

void give_way() {
  constexpr int kNicer = 5;  // of 19; each is a tenth less of a core
  constexpr int kNicest = 19;
  // As the process was started: a thread that was made by one which gives way gives way no more.
  const int own = ::getpriority(PRIO_PROCESS, static_cast<id_t>(::getpid()));
  // Lowering needs no right; where it is refused all the same, threads are as equal as they were.
  (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), std::min(own + kNicer, kNicest));
}

}  // namespace crossfade
