// The open ports of interlays, and their way back when one can not be opened. Used by the holder of
// a turn, but for drain(): sessions may take their time to end, and nobody waits for that.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "control/definitions/interlay.h"
#include "protocols/base/result.h"
#include "strategies/ports.h"

namespace crossfade {

class Listeners {
 public:
  Listeners(const DataPlane& data_plane, std::uint32_t drain_ms)
      : data_plane_(data_plane), drain_ms_(drain_ms) {}

  // Opens the interlay's port, whose route must be published; returns the port that was bound.
  //   errors  Conflict: "port 7001 on 127.0.0.1 is in use", or its sessions are still ending;
  //           others as the data plane has them
  Result<std::uint16_t> open(const InterlayDefinition& interlay);

  // The same at a start, where nobody is to hear the error: it is remembered as the reason why the
  // interlay does not listen, until it does or is to be closed.
  std::optional<std::uint16_t> open_if_free(const InterlayDefinition& interlay);
  // Any thread. nullopt, none: it was not tried so, or it listens.
  std::optional<std::string> why_closed(const std::string& interlay) const;
  bool any_kept_closed() const;

  // Closes it and ends its sessions, at most drain_ms later; nothing when it is not open.
  void close(const std::string& interlay);

  // The same in two steps: the port counts as closed from the first, taken within a turn; the
  // second, to be taken without one, closes it and returns when its sessions have ended.
  void begin_close(const std::string& interlay);
  void drain(const std::string& interlay);

  // Opens the port of `to` in place of that of `from` (the same interlay, elsewhere); its sessions
  // go on. When that fails, `from` stays or is opened again; when even that fails, the error says
  // so and the interlay is closed.
  Result<std::uint16_t> move(const InterlayDefinition& from, const InterlayDefinition& to);

  bool is_open(const std::string& interlay) const { return open_.contains(interlay); }
  // Why it can be neither opened nor deleted yet: sessions of its closed port are still ending.
  std::optional<std::string> draining_objection(const std::string& interlay) const;

 private:
  const DataPlane& data_plane_;
  const std::uint32_t drain_ms_;
  std::set<std::string> open_;  // ids
  mutable std::mutex mutex_;    // guards what follows
  std::set<std::string> draining_;
  std::map<std::string, std::string> kept_closed_;  // why, by id
};

}  // namespace crossfade
