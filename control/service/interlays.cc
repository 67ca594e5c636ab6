// Interlays: a definition and an open port that agree, or neither.
#include "control/service/interlays.h"

#include <spdlog/spdlog.h>

#include <chrono>
#include <future>
#include <memory>
#include <optional>

#include "control/definitions/login.h"
#include "control/definitions/tls.h"
#include "control/service/audit.h"
#include "control/service/endpoints.h"
#include "control/service/housekeeper.h"
#include "control/service/interlay_rules.h"
#include "control/service/listing.h"
#include "control/service/migration_rules.h"
#include "control/service/regions_change.h"

namespace crossfade {

namespace {

constexpr const char* kInterlay = "Interlay";

std::optional<std::string> removal_objection(const State& state,
                                             const InterlayDefinition& interlay) {
  for (const auto& [uuid, migration] : state.migrations) {
    if (binding_of(*migration, interlay.identity.uuid) == nullptr) continue;
    return "Interlay '" + interlay.identity.id + "' belongs to migration '" +
           migration->identity.id + "': delete that one first";
  }
  return std::nullopt;
}

}  // namespace

Json Interlays::shown(const State& state, const InterlayDefinition& interlay) const {
  const MigrationPtr migration = migration_of(state, interlay.identity.uuid);
  const Identity& identity = interlay.identity;
  Json settings = render(overridden(keeper_.defaults(), interlay.settings));
  if (!interlay.regions.empty()) settings.set("regions", render(interlay.regions));
  if (interlay.user) settings.set("user", render(*interlay.user));
  const auto why_closed = listeners_.why_closed(identity.id);
  Json json = Json::object(
      {{"id", identity.id},
       {"uuid", identity.uuid},
       {"endpoint", state.endpoints.at(interlay.endpoint)->identity.id},
       {"port", interlay.port},
       {"bind", interlay.bind},
       {"tls", render(interlay.tls, Secrets::Hidden)},
       {"auth", render(interlay.login, Secrets::Hidden)},
       {"settings", std::move(settings)},
       {"description", interlay.description},
       {"running", interlay.running && !why_closed},
       {"migration", migration == nullptr ? Json() : Json(migration->identity.id)},
       {"declared_in", identity.origin == Origin::File ? "file" : "api"},
       {"sql", render(interlay.sql)},
       {"catalog", servers_.catalogs().shown(interlay, *state.endpoints.at(interlay.endpoint))},
       {"created_at", identity.created_at},
       {"updated_at", identity.updated_at}});
  if (why_closed) json.set("why", *why_closed);
  return json;
}

Answer Interlays::list() const {
  const StatePtr state = keeper_.state();
  return list_of(state->interlays,
                 [&](const InterlayDefinition& interlay) { return shown(*state, interlay); });
}

Answer Interlays::get(const std::string& reference) const {
  const StatePtr state = keeper_.state();
  const InterlayPtr interlay = find(state->interlays, reference);
  if (interlay == nullptr) return not_found(kInterlay, reference);
  return Reply{.data = shown(*state, *interlay), .etag = etag_of(interlay->identity)};
}

Answer Interlays::reply(const std::string& uuid, int status) const {
  const StatePtr state = keeper_.state();
  const auto found = state->interlays.find(uuid);
  if (found == state->interlays.end()) return not_found(kInterlay, uuid);  // deleted meanwhile
  const InterlayDefinition& interlay = *found->second;
  Json data = shown(*state, interlay);
  data.set("epoch", keeper_.epoch());
  return Reply{.status = status, .data = std::move(data), .etag = etag_of(interlay.identity)};
}

Answer Interlays::gone(const Identity& identity) const {
  Reply reply = deleted(identity);
  reply.data.set("epoch", keeper_.epoch());
  return reply;
}

void Interlays::learn(const Endpoint& endpoint) {
  if (!servers_.catalogs().knows(endpoint)) servers_.catalogs().read(endpoint, kLearnTimeout_ms);
  if (endpoint.address.kind != EndpointKind::Redis) return;
  if (servers_.knows_commands_of(endpoint)) return;
  const auto told = servers_.ask(endpoint.identity.uuid, endpoint.address, kLearnTimeout_ms);
  if (!told) {
    spdlog::warn("endpoint {}: commands not learned yet, the built-in table serves: {}",
                 endpoint.identity.id, told.error().message());
  }
}

Status Interlays::try_query(const InterlayLogin& login, const Endpoint& endpoint) const {
  if (!login.query || !auth_.look_up) return success();
  const auto told = std::make_shared<std::promise<AuthLookup>>();
  std::future<AuthLookup> answer = told->get_future();
  auth_.look_up(endpoint.address, *login.query, login.query->username,
                [told](AuthLookup found) { told->set_value(std::move(found)); });
  // Longer than one question may take: others may be before it.
  const bool in_time =
      answer.wait_for(std::chrono::milliseconds(2 * kCheckTimeout_ms)) == std::future_status::ready;
  const AuthLookup found = in_time ? answer.get() : AuthLookup{.why = "not asked in time"};
  if (found.found != AuthLookup::Found::Failed) return success();
  return Error{found.errc, "auth.auth_query",
               "no user can be looked up at endpoint '" + endpoint.identity.id + "': " + found.why +
                   "; with ?check=false the interlay takes it unseen"};
}

// What is wrong with the call itself is said by those who carry it out.
Status Interlays::try_patched_query(const std::string& reference, const Json& body) const {
  const StatePtr state = keeper_.state();
  const InterlayPtr current = find(state->interlays, reference);
  if (current == nullptr) return success();
  const auto spec = patch_interlay(spec_of(*current), body);
  if (!spec || !spec->login.query) return success();
  const EndpointPtr endpoint = find(state->endpoints, spec->endpoint);
  if (endpoint == nullptr) return success();
  const bool same =
      spec->login.query == current->login.query && endpoint->identity.uuid == current->endpoint;
  return same ? success() : try_query(spec->login, *endpoint);
}

Answer Interlays::create(const Json& body, const Call& call) {
  auto spec = read_interlay(body, "");
  if (!spec) return refuse(spec.error());
  if (Status loaded = load_tls(spec->tls, "tls"); !loaded) return refuse(loaded.error());
  if (const EndpointPtr endpoint = find(keeper_.state()->endpoints, spec->endpoint)) {
    learn(*endpoint);  // before the turn: it may take a while
    if (call.check) {
      if (Status asked = try_query(spec->login, *endpoint); !asked) return refuse(asked.error());
    }
  }
  Keeper::Turn turn = keeper_.begin();
  if (find(turn.next.interlays, spec->id) != nullptr) return already_exists(kInterlay, spec->id);
  const EndpointPtr endpoint = find(turn.next.endpoints, spec->endpoint);
  if (endpoint == nullptr) return not_found("Endpoint", spec->endpoint);
  if (const auto objection = login_objection(spec->login, endpoint->address)) {
    return bad_request("auth: " + *objection);
  }
  if (const auto objection = user_objection(endpoint->address.kind, spec->user)) {
    return bad_request("settings.user: " + *objection);
  }
  if (const auto objection = loop_objection(turn.next, *spec, *endpoint)) {
    return bad_request("port: " + *objection);
  }
  if (const auto objection = port_objection(turn.next, *spec, "")) return conflict(*objection);

  InterlayDefinition interlay{.identity = make_identity(spec->id, Origin::Api),
                              .endpoint = endpoint->identity.uuid,
                              .port = spec->port,
                              .bind = spec->bind,
                              .tls = spec->tls,
                              .login = spec->login,
                              .settings = spec->settings,
                              .regions = spec->regions,
                              .user = spec->user,
                              .sql = spec->sql,
                              .description = spec->description,
                              .running = true};
  const State before = turn.next;
  put(turn.next.interlays, interlay);
  // The route is there before the port, and the port before the promise: a port that can not be
  // opened leaves nothing behind.
  if (const Status status = keeper_.put_in_force(turn.next); !status) {
    (void)keeper_.put_in_force(before);
    return unavailable(status.error().message() + "; nothing was changed");
  }
  auto port = listeners_.open(interlay);
  if (!port) {
    (void)keeper_.put_in_force(before);
    return refuse(port.error());
  }
  interlay.port = *port;
  put(turn.next.interlays, interlay);
  if (const Status status = keeper_.make_durable(turn); !status) {
    listeners_.close(spec->id);
    (void)keeper_.put_in_force(before);
    return refuse(status.error());
  }
  keeper_.show(turn);
  spdlog::info("interlay {}: created by {}, before endpoint {}", spec->id, call.actor,
               endpoint->identity.id);
  return reply(interlay.identity.uuid, 201);
}

Answer Interlays::patch(const std::string& reference, const Json& body, const Call& call) {
  if (call.check) {  // before the turn: it may take a while
    if (Status asked = try_patched_query(reference, body); !asked) return refuse(asked.error());
  }
  Keeper::Turn turn = keeper_.begin();
  const InterlayPtr current = find(turn.next.interlays, reference);
  if (current == nullptr) return not_found(kInterlay, reference);
  const Identity& identity = current->identity;
  if (identity.origin == Origin::File) return declared_in_file(kInterlay, identity.id);
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  auto spec = patch_interlay(spec_of(*current), body);
  if (!spec) return refuse(spec.error());
  if (spec->tls.end != current->tls.end) {
    if (Status loaded = load_tls(spec->tls, "tls"); !loaded) return refuse(loaded.error());
  }
  const EndpointPtr endpoint = find(turn.next.endpoints, spec->endpoint);
  if (endpoint == nullptr) return not_found("Endpoint", spec->endpoint);
  if (endpoint->identity.uuid != current->endpoint) {
    const auto objection = endpoint_objection(turn.next, *current, endpoint->identity.uuid);
    if (objection) return conflict(*objection);
  }
  if (const auto objection = login_objection(spec->login, endpoint->address)) {
    return bad_request("auth: " + *objection);
  }
  if (const auto objection = user_objection(endpoint->address.kind, spec->user)) {
    return bad_request("settings.user: " + *objection);
  }
  if (const auto objection = new_user_objection(turn.next, *current, spec->user)) {
    return conflict("settings.user: " + *objection);
  }
  if (const auto objection = loop_objection(turn.next, *spec, *endpoint)) {
    return bad_request("port: " + *objection);
  }
  if (const auto objection = port_objection(turn.next, *spec, identity.uuid)) {
    return conflict(*objection);
  }

  InterlayDefinition patched = *current;
  patched.endpoint = endpoint->identity.uuid;
  patched.port = spec->port;
  patched.bind = spec->bind;
  patched.tls = spec->tls;
  patched.login = spec->login;
  patched.settings = spec->settings;
  patched.regions = spec->regions;
  patched.user = spec->user;
  patched.sql = spec->sql;
  patched.description = spec->description;
  touch(patched.identity);
  const bool moved = patched.port != current->port || patched.bind != current->bind;
  const bool reopened = moved && listeners_.is_open(identity.id);
  if (reopened) {
    auto port = listeners_.move(*current, patched);
    if (!port) return refuse(port.error());
    patched.port = *port;
  }
  put(turn.next.interlays, patched);
  const StatePtr before = keeper_.state();
  const auto left = journal_regions(turn, *before, new_only_writes_, call.actor);
  if (const Status status = keeper_.commit(turn); !status) {
    if (reopened) (void)listeners_.move(patched, *current);
    return refuse(status.error());
  }
  spdlog::info("interlay {}: changed by {}: {}", identity.id, call.actor,
               interlay_change(*before, *keeper_.state(), identity.uuid));
  Answer answer = reply(identity.uuid, 200);
  if (auto* told = std::get_if<Reply>(&answer); told != nullptr && left) {
    told->data.set("new_only_writes", left->writes);
    told->data.set("new_only_writes_exact", left->exact);
  }
  return answer;
}

// Stopped first, and deleted when its sessions have ended: they may take their time, and others
// take their turns meanwhile.
Answer Interlays::remove(const std::string& reference, const Call& call) {
  std::optional<Keeper::Turn> turn = keeper_.begin();
  const InterlayPtr interlay = find(turn->next.interlays, reference);
  if (interlay == nullptr) return not_found(kInterlay, reference);
  const Identity& identity = interlay->identity;
  if (identity.origin == Origin::File) return declared_in_file(kInterlay, identity.id);
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  if (const auto objection = removal_objection(turn->next, *interlay)) return conflict(*objection);
  if (const auto objection = listeners_.draining_objection(identity.id)) {
    return conflict(*objection);
  }
  if (listeners_.is_open(identity.id)) {
    InterlayDefinition stopped = *interlay;
    stopped.running = false;
    put(turn->next.interlays, std::move(stopped));
    if (const Status status = keeper_.make_durable(*turn); !status) return refuse(status.error());
    listeners_.begin_close(identity.id);
    keeper_.show(*turn);
    turn.reset();
    listeners_.drain(identity.id);
    turn.emplace(keeper_.begin());
    const auto now = turn->next.interlays.find(identity.uuid);
    if (now == turn->next.interlays.end()) return gone(identity);
    const std::string etag = etag_of(now->second->identity);
    if (!matches(call.if_match, etag)) return precondition_failed(etag);
    if (const auto objection = removal_objection(turn->next, *interlay)) {
      return conflict(*objection + " (it is stopped)");
    }
  }
  turn->next.interlays.erase(identity.uuid);
  if (const Status status = keeper_.make_durable(*turn); !status) return refuse(status.error());
  listeners_.close(identity.id);  // somebody may have started it again
  keeper_.show(*turn);
  if (const Status status = keeper_.put_in_force(turn->next); !status) {
    spdlog::warn(
        "interlay {}: deleted, its route is still known to a loop that does not answer: {}",
        identity.id, status.error().message());
  }
  spdlog::info("interlay {}: deleted by {}", identity.id, call.actor);
  return gone(identity);
}

Answer Interlays::start(const std::string& reference, const Call& call) {
  return set_running(reference, call, true);
}

Answer Interlays::stop(const std::string& reference, const Call& call) {
  return set_running(reference, call, false);
}

Answer Interlays::set_running(const std::string& reference, const Call& call, const bool wanted) {
  std::optional<Keeper::Turn> held = keeper_.begin();
  Keeper::Turn& turn = *held;
  const InterlayPtr current = find(turn.next.interlays, reference);
  if (current == nullptr) return not_found(kInterlay, reference);
  const Identity& identity = current->identity;
  if (identity.origin == Origin::File) return declared_in_file(kInterlay, identity.id);
  if (current->running == wanted && listeners_.is_open(identity.id) == wanted) {
    return reply(identity.uuid, 200);
  }
  InterlayDefinition changed = *current;
  changed.running = wanted;
  touch(changed.identity);
  if (wanted) {
    auto port = listeners_.open(changed);
    if (!port) return refuse(port.error());
    changed.port = *port;
  }
  put(turn.next.interlays, changed);
  if (const Status status = keeper_.make_durable(turn); !status) {
    if (wanted) listeners_.close(identity.id);
    return refuse(status.error());
  }
  if (!wanted) listeners_.begin_close(identity.id);
  keeper_.show(turn);
  held.reset();
  if (!wanted) listeners_.drain(identity.id);
  spdlog::info("interlay {}: {} by {}", identity.id, wanted ? "started" : "stopped", call.actor);
  return reply(identity.uuid, 200);
}

}  // namespace crossfade
