// A hash over both places.
#include "strategies/server_pair.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string>

namespace crossfade {

std::uint64_t pair_of(const EndpointAddress& old_side, const EndpointAddress& new_side) {
  const std::string places = old_side.host + ':' + std::to_string(old_side.port) + ' ' +
                             new_side.host + ':' + std::to_string(new_side.port);
  const std::uint64_t hash = XXH3_64bits(places.data(), places.size());
  return hash == 0 ? 1 : hash;
}

}  // namespace crossfade
