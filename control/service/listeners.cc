// Opening, closing and moving ports.
#include "control/service/listeners.h"

#include <spdlog/spdlog.h>

namespace crossfade {

Result<std::uint16_t> Listeners::open(const InterlayDefinition& interlay) {
  auto port = data_plane_.listen(
      {.interlay = interlay.identity.id, .bind = interlay.bind, .port = interlay.port});
  if (!port) {
    return Error{port.error().code,
                 "open port " + std::to_string(interlay.port) + " on " + interlay.bind,
                 port.error().message()};
  }
  open_.insert(interlay.identity.id);
  spdlog::info("interlay {}: listening on {} port {}", interlay.identity.id, interlay.bind, *port);
  return port;
}

void Listeners::close(const std::string& interlay) {
  if (open_.erase(interlay) == 0) return;
  data_plane_.unlisten(interlay, drain_ms_);
  spdlog::info("interlay {}: port closed", interlay);
}

Result<std::uint16_t> Listeners::move(const InterlayDefinition& from,
                                      const InterlayDefinition& to) {
  close(from.identity.id);
  auto port = open(to);
  if (port) return port;
  if (const auto back = open(from); !back) {
    return Error{back.error().code, port.error().message(),
                 "and its former port could not be opened again: " + back.error().message()};
  }
  return port.error();
}

}  // namespace crossfade
