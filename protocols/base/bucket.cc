// The hash behind the split. Its value is a promise to every other sidecar: it must never change.
#include "protocols/base/bucket.h"

#define XXH_INLINE_ALL  // half of the time for a short key would be the call
#include <xxhash.h>

namespace crossfade {

std::uint32_t bucket_of(std::string_view bytes) {
  const std::uint64_t high = XXH3_64bits(bytes.data(), bytes.size()) >> 32;
  return static_cast<std::uint32_t>((high * kWhole) >> 32);
}

}  // namespace crossfade
