// What servers told, kept by endpoint.
#include "control/service/servers.h"

#include "control/side_by_side.h"

namespace crossfade {

Result<RedisProbe> Servers::ask(const std::string& uuid, const EndpointAddress& address,
                                std::uint32_t timeout_ms) {
  Result<RedisProbe> told = prober_.redis(address, timeout_ms);
  if (!uuid.empty()) note(uuid, address, told);
  return told;
}

Status Servers::check(const std::string& uuid, const EndpointAddress& address,
                      std::uint32_t timeout_ms) {
  if (address.kind == EndpointKind::Redis) {
    const auto told = ask(uuid, address, timeout_ms);
    return told ? success() : Status(told.error());
  }
  const auto told = prober_.postgres(address, timeout_ms);
  if (!uuid.empty()) note(uuid, address, told);
  return told ? success() : Status(told.error());
}

Status Servers::check_answers(const Endpoint& endpoint, std::uint32_t timeout_ms) {
  Status status = check(endpoint.identity.uuid, endpoint.address, timeout_ms);
  return status || status.error().code == Errc::Unavailable ? status : success();
}

WritesTold Servers::ask_for_writes(const EndpointAddress& address, std::uint32_t timeout_ms) const {
  return prober_.redis_writes(address, timeout_ms);
}

Result<PostgresSurvey> Servers::survey(const Endpoint& endpoint, std::uint32_t timeout_ms) {
  Result<PostgresSurvey> told = prober_.survey(endpoint.address, timeout_ms);
  note(endpoint.identity.uuid, endpoint.address,
       told ? Result<PostgresProbe>(told->probe) : Result<PostgresProbe>(told.error()));
  return told;
}

void Servers::refresh(const std::string& uuid, const EndpointAddress& address,
                      std::uint32_t timeout_ms) {
  if (asked_within(std::chrono::seconds(1), uuid, address)) return;
  (void)check(uuid, address, timeout_ms);  // what it says is kept
}

bool Servers::asked_within(std::chrono::milliseconds age, const std::string& uuid,
                           const EndpointAddress& address) const {
  const std::lock_guard held(mutex_);
  const auto found = known_.find(uuid);
  return found != known_.end() && found->second.address == address &&
         std::chrono::steady_clock::now() - found->second.asked_at < age;
}

void Servers::refresh_all(const ById<Endpoint>& endpoints, std::uint32_t timeout_ms) {
  const std::lock_guard alone(refreshing_);
  std::vector<EndpointPtr> stale;
  for (const auto& [uuid, endpoint] : endpoints) {
    if (!asked_within(kListedFor, uuid, endpoint->address)) stale.push_back(endpoint);
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  side_by_side(stale.size(), [&](std::size_t i) {
    if (std::chrono::steady_clock::now() >= end) return;
    (void)check(stale[i]->identity.uuid, stale[i]->address, timeout_ms);
  });
}

Servers::Known& Servers::note_answer(const std::string& uuid, const EndpointAddress& address,
                                     const Error* error) {
  Known& known = known_[uuid];
  const std::string now = now_rfc3339();
  if (!(known.address == address)) known = Known{};
  if (known.checked_at.empty() || known.up == (error != nullptr)) known.since = now;
  known.address = address;
  known.checked_at = now;
  known.asked_at = std::chrono::steady_clock::now();
  known.up = error == nullptr;
  if (error != nullptr) known.last_error = error->message();
  return known;
}

void Servers::note(const std::string& uuid, const EndpointAddress& address,
                   const Result<RedisProbe>& told) {
  const std::lock_guard held(mutex_);
  Known& known = note_answer(uuid, address, told ? nullptr : &told.error());
  if (!told) return;
  known.latency_us = told->latency_us;
  known.version = told->version;
  known.sight = told->sight;
  known.refused = told->commands == nullptr;
  // The first table stays: another object with the same content would look like a new route.
  if (known.commands == nullptr) known.commands = told->commands;
}

void Servers::note(const std::string& uuid, const EndpointAddress& address,
                   const Result<PostgresProbe>& told) {
  const std::lock_guard held(mutex_);
  Known& known = note_answer(uuid, address, told ? nullptr : &told.error());
  if (!told) return;
  known.latency_us = told->latency_us;
  if (!told->version.empty()) known.version = told->version;
  known.sight = told->sight;
}

std::shared_ptr<const redis::CommandTable> Servers::commands_of(const Endpoint& endpoint) const {
  const std::lock_guard held(mutex_);
  const auto found = known_.find(endpoint.identity.uuid);
  if (found == known_.end() || found->second.commands == nullptr ||
      !(found->second.address == endpoint.address)) {
    return redis::CommandTable::built_in();
  }
  return found->second.commands;
}

bool Servers::knows_commands_of(const Endpoint& endpoint) const {
  const std::lock_guard held(mutex_);
  const auto found = known_.find(endpoint.identity.uuid);
  return found != known_.end() && found->second.address == endpoint.address &&
         (found->second.commands != nullptr || found->second.refused);
}

bool Servers::has_told(const Endpoint& endpoint) const {
  if (endpoint.address.kind == EndpointKind::Postgres) return catalogs_.knows(endpoint);
  return knows_commands_of(endpoint);
}

std::string Servers::run_id_of(const Endpoint& endpoint) const {
  const std::lock_guard held(mutex_);
  const auto found = known_.find(endpoint.identity.uuid);
  const bool told = found != known_.end() && found->second.address == endpoint.address;
  return told ? found->second.sight.run_id : std::string();
}

std::optional<ServerSight> Servers::sight_of(const Endpoint& endpoint) const {
  const std::lock_guard held(mutex_);
  const auto found = known_.find(endpoint.identity.uuid);
  if (found == known_.end() || !(found->second.address == endpoint.address)) return std::nullopt;
  const Known& known = found->second;
  return known.up && !known.sight.run_id.empty() ? std::optional(known.sight) : std::nullopt;
}

Json Servers::health_of(const std::string& uuid) const {
  const std::lock_guard held(mutex_);
  const auto found = known_.find(uuid);
  if (found == known_.end()) return {};
  const Known& known = found->second;
  return Json::object({{"up", known.up},
                       {"since", known.since},
                       {"checked_at", known.checked_at},
                       {"version", known.version.empty() ? Json() : Json(known.version)},
                       {"latency_us", known.up ? Json(known.latency_us) : Json()},
                       {"last_error", known.last_error.empty() ? Json() : Json(known.last_error)}});
}

void Servers::forget(const std::string& uuid) {
  catalogs_.forget(uuid);
  const std::lock_guard held(mutex_);
  known_.erase(uuid);
}

}  // namespace crossfade
