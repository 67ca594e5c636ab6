// Bytes of a connection that wait for what completes them. Connections are silent for most of their
// time, and there are thousands: a large message is not to leave its room behind with each of them.
#pragma once

#include <cstddef>
#include <string>

namespace crossfade {

inline constexpr std::size_t kKeptCapacity = 4096;  // bytes that an empty string may hold

// Empties `kept`. Where it has room for more than `capacity` bytes, that goes back to the system.
inline void empty(std::string& kept, std::size_t capacity = kKeptCapacity) {
  if (kept.capacity() > capacity) {
    std::string().swap(kept);
  } else {
    kept.clear();
  }
}

// Takes the first `count` bytes away.
inline void drop_front(std::string& kept, std::size_t count) {
  if (count >= kept.size()) return empty(kept);
  kept.erase(0, count);
}

}  // namespace crossfade
