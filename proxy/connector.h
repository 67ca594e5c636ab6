// Connects a stream to an endpoint: looks its name up, and tries every address that it has, in
// turn.
//
// Knows nothing of protocols. Belongs to whoever owns the stream.
#pragma once

#include <sys/socket.h>

#include <vector>

#include "proxy/stream.h"
#include "strategies/table.h"

namespace crossfade {

// An address of this very machine, which nobody in between can listen to.
bool is_loopback(const sockaddr_storage& address);

class Connector {
 public:
  Connector(Loop& loop, Stream& stream, StreamOwner& owner)
      : loop_(loop), stream_(stream), owner_(owner) {}
  ~Connector() { stop(); }
  Connector(const Connector&) = delete;
  Connector& operator=(const Connector&) = delete;

  // `done` is called later: status 0, or why the last address could not be reached. False:
  // the system refuses at once, and `done` is never called.
  bool start(const EndpointAddress& to, Stream::Connected done);
  // To one address that is known already.
  bool start(const sockaddr_storage& to, Stream::Connected done);
  // Nothing is called any more. The stream is the owner's to close.
  void stop();

  // Where the stream is connected to, or was tried last.
  const sockaddr_storage& peer() const { return peer_; }

  // Leaves the address that was reached, or is being tried, for the next one: `done` is called
  // once more. False: it was the last one.
  bool next();

  // For the callback of Stream::connect(): true when the next address is being tried.
  bool goes_on(int status) { return status != 0 && try_next(); }

 private:
  struct Lookup;
  bool look_up(const EndpointAddress& to);
  bool try_next();

  Loop& loop_;
  Stream& stream_;
  StreamOwner& owner_;
  Stream::Connected done_ = nullptr;
  Lookup* lookup_ = nullptr;
  std::vector<sockaddr_storage> addresses_;  // still to try, last one first
  sockaddr_storage peer_{};
};

}  // namespace crossfade
