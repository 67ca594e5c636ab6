// Bytes that nobody can foretell: nonces, salts, secrets.
#pragma once

#include <cstddef>
#include <string>

namespace crossfade {

// Ends the process if OpenSSL has none: what stands on them would stand on nothing.
//   cost   under a microsecond, now and then a system call; any thread
std::string random_bytes(std::size_t size);

}  // namespace crossfade
