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
  {
    const std::lock_guard lock(mutex_);
    kept_closed_.erase(interlay.identity.id);
  }
  spdlog::info("interlay {}: listening on {} port {}", interlay.identity.id, interlay.bind, *port);
  return port;
}

void Listeners::close(const std::string& interlay) {
  const bool was_open = is_open(interlay);
  begin_close(interlay);
  if (was_open) drain(interlay);
}

std::optional<std::uint16_t> Listeners::open_if_free(const InterlayDefinition& interlay) {
  auto port = open(interlay);
  if (port) return *port;
  const std::string why = port.error().message();
  const std::lock_guard lock(mutex_);
  std::string& known = kept_closed_[interlay.identity.id];
  if (known != why) {
    spdlog::error("interlay {}: does not listen: {}; it is tried again", interlay.identity.id, why);
  }
  known = why;
  return std::nullopt;
}

std::optional<std::string> Listeners::why_closed(const std::string& interlay) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_closed_.find(interlay);
  return found == kept_closed_.end() ? std::nullopt : std::optional(found->second);
}

bool Listeners::any_kept_closed() const {
  const std::lock_guard lock(mutex_);
  return !kept_closed_.empty();
}

void Listeners::begin_close(const std::string& interlay) {
  const bool was_open = open_.erase(interlay) > 0;
  const std::lock_guard lock(mutex_);
  kept_closed_.erase(interlay);
  if (!was_open) return;
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
