// Opening, closing and moving ports.
#include "control/service/listeners.h"

#include <spdlog/spdlog.h>

namespace crossfade {

Result<std::uint16_t> Listeners::open(const InterlayDefinition& interlay) {
  if (const auto objection = draining_objection(interlay.identity.id)) {
    return Error{Errc::Conflict, "open port " + std::to_string(interlay.port), *objection};
  }
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
  if (!is_open(interlay)) return;
  begin_close(interlay);
  drain(interlay);
}

void Listeners::begin_close(const std::string& interlay) {
  if (open_.erase(interlay) == 0) return;
  const std::lock_guard lock(mutex_);
  draining_.insert(interlay);
}

void Listeners::drain(const std::string& interlay) {
  if (!draining_objection(interlay)) return;
  data_plane_.unlisten(interlay, drain_ms_);
  spdlog::info("interlay {}: port closed", interlay);
  const std::lock_guard lock(mutex_);
  draining_.erase(interlay);
}

std::optional<std::string> Listeners::draining_objection(const std::string& interlay) const {
  const std::lock_guard lock(mutex_);
  if (!draining_.contains(interlay)) return std::nullopt;
  return "the sessions of interlay '" + interlay +
         "' are still ending; try again when it has closed";
}

Result<std::uint16_t> Listeners::move(const InterlayDefinition& from,
                                      const InterlayDefinition& to) {
  // One address can not be bound twice: there the sessions have to end first.
  if (from.port == to.port) close(from.identity.id);
  auto port = open(to);
  if (port) return port;
  if (is_open(from.identity.id)) return port.error();
  if (const auto back = open(from); !back) {
    return Error{back.error().code, port.error().message(),
                 "and its former port could not be opened again: " + back.error().message()};
  }
  return port.error();
}

}  // namespace crossfade
