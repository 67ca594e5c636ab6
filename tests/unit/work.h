// How much work something is, in time of this thread: what others take of the processor counts for
// nothing.
#pragma once

#include <ctime>

namespace crossfade {

inline double seconds_of_work() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <class Work>
double seconds_for(Work work) {
  const double began = seconds_of_work();
  work();
  return seconds_of_work() - began;
}

}  // namespace crossfade
