// Who waits, who is worked for, and who has to go.
#include "control/http/connections.h"

#include <sys/socket.h>

namespace crossfade {

Connections::Guest::Guest(Connections& connections, int descriptor) : connections_(connections) {
  const std::lock_guard held(connections_.mutex_);
  place_ = connections_.waiting_.insert(connections_.waiting_.end(), descriptor);
  if (connections_.closed_) ::shutdown(descriptor, SHUT_RDWR);
}

// The descriptor is closed by its owner after this: while it is in a list, it is that connection's.
Connections::Guest::~Guest() {
  const std::lock_guard held(connections_.mutex_);
  (waiting_ ? connections_.waiting_ : connections_.working_).erase(place_);
}

void Connections::Guest::arrived() {
  const std::lock_guard held(connections_.mutex_);
  if (!waiting_) return;
  waiting_ = false;
  connections_.working_.splice(connections_.working_.end(), connections_.waiting_, place_);
}

bool Connections::Guest::gives_way(std::size_t wanted) const {
  const std::lock_guard held(connections_.mutex_);
  if (!waiting_) return false;
  for (auto one = connections_.waiting_.begin(); wanted > 0; ++one, --wanted) {
    if (one == connections_.waiting_.end()) return false;
    if (one == place_) return true;
  }
  return false;
}

void Connections::close() {
  const std::lock_guard held(mutex_);
  closed_ = true;
  for (const int descriptor : waiting_) ::shutdown(descriptor, SHUT_RDWR);
}

void Connections::open() {
  const std::lock_guard held(mutex_);
  closed_ = false;
}

}  // namespace crossfade
