// The rules of interlay_rules.h; the API and the configuration file obey the same ones.
#include "control/service/interlay_rules.h"

#include <set>
#include <utility>
#include <vector>

namespace crossfade {

std::optional<std::string> port_objection(const State& state, const InterlaySpec& spec,
                                          const std::string& uuid) {
  if (spec.port == 0) return std::nullopt;
  for (const auto& [other_uuid, other] : state.interlays) {
    if (other_uuid == uuid || other->port != spec.port || other->bind != spec.bind) continue;
    return "port " + std::to_string(spec.port) + " on " + spec.bind + " is that of interlay '" +
           other->identity.id + "'";
  }
  return std::nullopt;
}

namespace {

bool is_loopback(const std::string& host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

bool is_port(const Endpoint& endpoint, const std::string& bind, std::uint16_t port) {
  if (port == 0 || port != endpoint.address.port) return false;
  return endpoint.address.host == bind ||
         (is_loopback(endpoint.address.host) &&
          (is_loopback(bind) || bind == "0.0.0.0" || bind == "::"));
}

// The endpoints that an interlay's traffic may go to.
std::vector<EndpointPtr> behind(const State& state, const InterlayDefinition& interlay) {
  std::vector<EndpointPtr> endpoints{state.endpoints.at(interlay.endpoint)};
  const std::string& uuid = interlay.identity.uuid;
  if (const MigrationPtr migration = migration_of(state, uuid)) {
    endpoints.push_back(state.endpoints.at(binding_of(*migration, uuid)->endpoint));
  }
  return endpoints;
}

// What stands behind the interlay, other than `but`, whose port that endpoint is; each is passed
// once.
std::vector<EndpointPtr> behind_ports_at(const State& state, const Endpoint& endpoint,
                                         const std::string& but, std::set<std::string>& passed) {
  std::vector<EndpointPtr> endpoints;
  for (const auto& [uuid, interlay] : state.interlays) {
    if (interlay->identity.id == but || !is_port(endpoint, interlay->bind, interlay->port) ||
        !passed.insert(uuid).second) {
      continue;
    }
    for (EndpointPtr& one : behind(state, *interlay)) endpoints.push_back(std::move(one));
  }
  return endpoints;
}

}  // namespace

std::optional<std::string> loop_objection(const State& state, const InterlaySpec& spec,
                                          const Endpoint& endpoint) {
  if (is_port(endpoint, spec.bind, spec.port)) {
    return "endpoint '" + endpoint.identity.id + "' is that very address";
  }
  // Behind the endpoint there may be another interlay of ours, and behind that one this port.
  std::set<std::string> passed;
  std::vector<EndpointPtr> ahead = behind_ports_at(state, endpoint, spec.id, passed);
  while (!ahead.empty()) {
    const EndpointPtr next = ahead.back();
    ahead.pop_back();
    if (is_port(*next, spec.bind, spec.port)) {
      return "endpoint '" + endpoint.identity.id + "' leads back to it, through endpoint '" +
             next->identity.id + "'";
    }
    for (EndpointPtr& one : behind_ports_at(state, *next, spec.id, passed)) {
      ahead.push_back(std::move(one));
    }
  }
  return std::nullopt;
}

std::optional<std::string> loop_objection(const State& state) {
  for (const auto& [uuid, interlay] : state.interlays) {
    const InterlaySpec spec = spec_of(*interlay);
    for (const EndpointPtr& endpoint : behind(state, *interlay)) {
      if (auto objection = loop_objection(state, spec, *endpoint)) {
        return "interlay '" + spec.id + "' would stand before itself: " + *objection;
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> endpoint_objection(const State& state,
                                              const InterlayDefinition& interlay,
                                              const std::string& endpoint) {
  const EndpointKind kind = state.endpoints.at(interlay.endpoint)->address.kind;
  if (state.endpoints.at(endpoint)->address.kind != kind) {
    return "interlay '" + interlay.identity.id + "' speaks " + name_of(kind) +
           ", and that endpoint does not";
  }
  const MigrationPtr migration = migration_of(state, interlay.identity.uuid);
  if (migration == nullptr) return std::nullopt;
  const bool is_target = binding_of(*migration, interlay.identity.uuid)->endpoint == endpoint;
  const bool completed = migration->status == MigrationStatus::Completed;
  if (completed ? is_target : !routes(migration->status) && !is_target) return std::nullopt;
  return "interlay '" + interlay.identity.id + "' belongs to migration '" + migration->identity.id +
         "' in status: " + title_of(migration->status) +
         ", so its endpoint can not become this one";
}

}  // namespace crossfade
