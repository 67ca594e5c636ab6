// Endpoints: checked by connecting before anything is held up by them.
#include "control/service/endpoints.h"

#include <spdlog/spdlog.h>

#include <optional>

#include "control/definitions/tls.h"
#include "control/service/audit.h"
#include "control/service/endpoint_place.h"
#include "control/service/interlay_rules.h"
#include "control/service/listing.h"
#include "control/service/migration_rules.h"

namespace crossfade {

namespace {

constexpr const char* kEndpoint = "Endpoint";

// Who uses an endpoint, for the refusal to delete it; empty when nobody does.
std::string user_of_endpoint(const State& state, const std::string& endpoint) {
  for (const auto& [uuid, interlay] : state.interlays) {
    if (interlay->endpoint == endpoint) return "interlay '" + interlay->identity.id + "'";
  }
  for (const auto& [uuid, definition] : state.templates) {
    if (definition->spec.endpoint == endpoint) return "template '" + definition->identity.id + "'";
  }
  for (const auto& [uuid, migration] : state.migrations) {
    for (const Binding& binding : migration->bindings) {
      if (binding.endpoint == endpoint) return "migration '" + migration->identity.id + "'";
    }
  }
  return {};
}

// The file has no force: where it is refused another place for it, that, and nothing else, is given
// by the API.
bool may_be_forced(const State& state, const Endpoint& endpoint, const EndpointSpec& patched) {
  EndpointSpec moved = spec_of(endpoint);
  moved.address.host = patched.address.host;
  moved.address.port = patched.address.port;
  moved.address.db = patched.address.db;
  moved.address.database = patched.address.database;
  return moved == patched && file_place_objection(state, endpoint.identity).has_value();
}

}  // namespace

Refusal declared_in_file(const char* what, const std::string& id) {
  return conflict(std::string(what) + " '" + id +
                  "' is declared in the configuration file: change it there and send SIGHUP");
}

Json Endpoints::shown(const Endpoint& endpoint) const {
  Json json = render(endpoint);
  json.set("health", servers_.health_of(endpoint.identity.uuid));
  return json;
}

Answer Endpoints::list() {
  const StatePtr state = keeper_.state();
  servers_.refresh_all(state->endpoints, kCheckTimeout_ms);
  return list_of(state->endpoints, [this](const Endpoint& endpoint) { return shown(endpoint); });
}

Answer Endpoints::get(const std::string& reference) {
  const EndpointPtr endpoint = find(keeper_.state()->endpoints, reference);
  if (endpoint == nullptr) return not_found(kEndpoint, reference);
  servers_.refresh(endpoint->identity.uuid, endpoint->address, kCheckTimeout_ms);
  return Reply{.data = shown(*endpoint), .etag = etag_of(endpoint->identity)};
}

Answer Endpoints::create(const Json& body, const Call& call) {
  auto spec = read_endpoint(body, "");
  if (!spec) return refuse(spec.error());
  if (Status loaded = load_tls(spec->address.tls, "config.tls"); !loaded) {
    return refuse(loaded.error());
  }
  Endpoint endpoint{.identity = make_identity(spec->id, Origin::Api),
                    .address = std::move(spec->address),
                    .description = std::move(spec->description),
                    .shard = std::move(spec->shard)};
  const std::string uuid = endpoint.identity.uuid;
  const std::string id = endpoint.identity.id;
  const auto taken = [&](const State& state) { return find(state.endpoints, id) != nullptr; };
  if (taken(*keeper_.state())) return already_exists(kEndpoint, id);
  if (call.check) {
    // Before the turn: a server that does not answer must not hold up other calls.
    const Status told = servers_.check(uuid, endpoint.address, kCheckTimeout_ms);
    if (!told) {
      servers_.forget(uuid);
      return refuse(told.error());
    }
  }
  Keeper::Turn turn = keeper_.begin();
  if (taken(turn.next)) {
    servers_.forget(uuid);
    return already_exists(kEndpoint, id);
  }
  put(turn.next.endpoints, std::move(endpoint));
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  spdlog::info("endpoint {}: created by {}", id, call.actor);
  const EndpointPtr created = keeper_.state()->endpoints.at(uuid);
  return Reply{.status = 201, .data = shown(*created), .etag = etag_of(created->identity)};
}

Answer Endpoints::patch(const std::string& reference, const Json& body, const Call& call) {
  const EndpointPtr seen = find(keeper_.state()->endpoints, reference);
  if (seen == nullptr) return not_found(kEndpoint, reference);
  auto spec = patch_endpoint(spec_of(*seen), body);
  const bool of_file = seen->identity.origin == Origin::File;
  if (of_file && !(spec && call.force && may_be_forced(*keeper_.state(), *seen, *spec))) {
    return declared_in_file(kEndpoint, seen->identity.id);
  }
  if (!spec) return refuse(spec.error());
  if (spec->address.tls.end != seen->address.tls.end) {
    if (Status loaded = load_tls(spec->address.tls, "config.tls"); !loaded) {
      return refuse(loaded.error());
    }
  }
  const bool moved = !(spec->address == seen->address);
  std::optional<RedisProbe> told;
  if (call.check && moved && spec->address.kind != EndpointKind::Redis) {
    if (const Status asked = servers_.check("", spec->address, kCheckTimeout_ms); !asked) {
      return refuse(asked.error());
    }
  } else if (call.check && moved) {
    auto asked = servers_.ask("", spec->address, kCheckTimeout_ms);
    if (!asked) return refuse(asked.error());
    told = std::move(*asked);
  }
  Keeper::Turn turn = keeper_.begin();
  const EndpointPtr current = find(turn.next.endpoints, seen->identity.uuid);
  if (current == nullptr) return not_found(kEndpoint, reference);
  const std::string etag = etag_of(current->identity);
  if (!matches(call.if_match, etag)) return precondition_failed(etag);
  if (current != seen) return changed_meanwhile(kEndpoint, current->identity.id);
  if (!call.force && !same_place(spec->address, current->address)) {
    const auto objection = place_objection(turn.next, current->identity);
    if (objection) return conflict(*objection);
  }
  if (const auto objection =
          shard_objection(turn.next, current->identity.uuid, spec->shard, keeper_.self())) {
    return conflict("config.shard: " + *objection);
  }
  Endpoint patched = *current;
  patched.address = spec->address;
  patched.shard = std::move(spec->shard);
  patched.description = std::move(spec->description);
  touch(patched.identity);
  put(turn.next.endpoints, std::move(patched));
  if (const auto objection = loop_objection(turn.next)) {
    return bad_request("config.port: " + *objection);
  }
  if (moved) {
    // What the former address told is not true of this one; unasked, the built-in table serves.
    servers_.forget(seen->identity.uuid);
    if (told) servers_.note(seen->identity.uuid, spec->address, *told);
  }
  const StatePtr before = keeper_.state();
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  spdlog::info("endpoint {}: changed by {}: {}", seen->identity.id, call.actor,
               endpoint_change(*before, *keeper_.state(), seen->identity.uuid));
  const EndpointPtr now = keeper_.state()->endpoints.at(seen->identity.uuid);
  Json data = shown(*now);
  data.set("epoch", keeper_.epoch());
  return Reply{.data = std::move(data), .etag = etag_of(now->identity)};
}

Answer Endpoints::remove(const std::string& reference, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const EndpointPtr endpoint = find(turn.next.endpoints, reference);
  if (endpoint == nullptr) return not_found(kEndpoint, reference);
  const Identity& identity = endpoint->identity;
  if (identity.origin == Origin::File) return declared_in_file(kEndpoint, identity.id);
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  if (const std::string user = user_of_endpoint(turn.next, identity.uuid); !user.empty()) {
    return conflict("Endpoint '" + identity.id + "' is used by " + user);
  }
  turn.next.endpoints.erase(identity.uuid);
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  servers_.forget(identity.uuid);
  spdlog::info("endpoint {}: deleted by {}", identity.id, call.actor);
  return deleted(identity);
}

}  // namespace crossfade
