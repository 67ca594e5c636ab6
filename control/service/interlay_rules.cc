// The rules of interlay_rules.h; the API and the configuration file obey the same ones.
#include "control/service/interlay_rules.h"

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

}  // namespace

std::optional<std::string> loop_objection(const InterlaySpec& spec, const Endpoint& endpoint) {
  if (spec.port == 0 || spec.port != endpoint.address.port) return std::nullopt;
  const bool same = endpoint.address.host == spec.bind ||
                    (is_loopback(endpoint.address.host) &&
                     (is_loopback(spec.bind) || spec.bind == "0.0.0.0" || spec.bind == "::"));
  if (!same) return std::nullopt;
  return "endpoint '" + endpoint.identity.id + "' is that very address";
}

std::optional<std::string> endpoint_objection(const State& state,
                                              const InterlayDefinition& interlay,
                                              const std::string& endpoint) {
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
