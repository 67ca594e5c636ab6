// A disk that does not take what is synced to it.
#pragma once

#include <atomic>

namespace crossfade {

// So many of the next calls of fdatasync() fail with EIO. Defined in state_file_test.cc.
extern std::atomic<int> syncs_to_fail;

}  // namespace crossfade
