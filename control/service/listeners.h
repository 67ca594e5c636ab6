// The open ports of interlays, and their way back when one can not be opened. Used by the holder of
// a turn.
#pragma once

#include <cstdint>
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
  //   errors  Conflict: "port 7001 on 127.0.0.1 is in use"; others as the data plane has them
  Result<std::uint16_t> open(const InterlayDefinition& interlay);

  // Closes it and ends its sessions; nothing when it is not open.
  void close(const std::string& interlay);

  // Closes the port of `from` and opens that of `to` (the same interlay, elsewhere). When that
  // fails, `from` is opened again; when even that fails, the error says so and the interlay is
  // closed.
  Result<std::uint16_t> move(const InterlayDefinition& from, const InterlayDefinition& to);

  bool is_open(const std::string& interlay) const { return open_.contains(interlay); }

 private:
  const DataPlane& data_plane_;
  const std::uint32_t drain_ms_;
  std::set<std::string> open_;  // ids
};

}  // namespace crossfade
