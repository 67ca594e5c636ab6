// What a loop knows of a client's session, whatever its protocol: it can be ticked and buried.
#pragma once

#include <cstdint>
#include <optional>

#include "strategies/networks.h"

namespace crossfade {

class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  virtual ~Session() = default;

  // Called about every kTickMs while the session is on the loop's busy list, to check its time
  // limits. Returns false when it has nothing to wait for: it then leaves the list.
  virtual bool on_tick(std::uint64_t now_ns) = 0;
  // The interlay has a new route: what cannot follow it ends at its next safe point.
  virtual void on_route() = 0;
  // Ends as soon as it is at a safe point (nothing running, no transaction open): for stop and
  // SIGTERM.
  virtual void drain() = 0;
  // Ends now.
  virtual void abort() = 0;
  // Where the client is; nullopt: not known.
  virtual std::optional<ClientAddress> client_address() const = 0;

 private:
  friend class Loop;
  friend class Interlay;
  Session* next_busy_ = nullptr;  // the loop's busy list, while busy_
  bool busy_ = false;
  bool dead_ = false;
  bool elsewhere_ = false;   // see InterlayRoute
  Session* next_ = nullptr;  // the interlay's list of sessions
  Session* previous_ = nullptr;
};

}  // namespace crossfade
