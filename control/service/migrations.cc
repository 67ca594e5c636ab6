// Migrations as resources: made, shown, deleted.
#include "control/service/migrations.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/json/fields.h"
#include "control/json/write.h"
#include "control/service/audit.h"
#include "control/service/divergence.h"
#include "control/service/fewer_keys.h"
#include "control/service/interlay_rules.h"
#include "control/service/listing.h"
#include "control/service/migration_apis.h"
#include "control/service/migration_rules.h"
#include "control/service/patch_rules.h"
#include "control/service/preflight.h"
#include "control/service/right_side.h"

namespace crossfade {

namespace {

// The members that a list shows.
Json brief(const Migration& migration) {
  const Identity& identity = migration.identity;
  return Json::object({{"id", identity.id},
                       {"uuid", identity.uuid},
                       {"description", migration.spec.description},
                       {"status", name_of(migration.status)},
                       {"strategy", render(migration.spec.strategy)},
                       {"created_at", identity.created_at},
                       {"updated_at", identity.updated_at}});
}

// Puts the interlays of a completed migration before its new side, for good.
Status settle_interlays(State& state, const Migration& migration) {
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    if (binding.taken_back || interlay.endpoint == binding.endpoint) continue;
    if (interlay.identity.origin == Origin::File) {
      return Error{Errc::Conflict, "",
                   "Interlay '" + interlay.identity.id +
                       "' is declared in the configuration file: name endpoint '" +
                       state.endpoints.at(binding.endpoint)->identity.id +
                       "' there and send SIGHUP before its migration is deleted"};
    }
    InterlayDefinition settled = interlay;
    settled.endpoint = binding.endpoint;
    touch(settled.identity);
    put(state.interlays, std::move(settled));
  }
  return success();
}

Json render(const std::optional<Keeper::Unstored>& unstored) {
  if (!unstored) return {};
  return Json::object({{"since", unstored->since},
                       {"why", unstored->why},
                       {"stored_status", name_of(unstored->stored->status)}});
}

Json requests_of(const InterlayTraffic& traffic, Side side) {
  Json json = Json::object({});
  const auto& kinds = traffic.requests[static_cast<std::size_t>(side)];
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    json.set(name_of(static_cast<Kind>(kind)), kinds[kind]);
  }
  return json;
}

// By reason; those that hold nobody are left out.
Json staying(const InterlayTraffic& traffic) {
  Json json = Json::object({});
  for (std::size_t stay = 0; stay < kStays; ++stay) {
    if (traffic.staying[stay] == 0) continue;
    json.set(name_of(static_cast<Stay>(stay)), traffic.staying[stay]);
  }
  return json;
}

Json second_legs(const SecondCounts& counts) {
  std::uint64_t dropped = 0;
  for (const std::uint64_t count : counts.dropped) dropped += count;
  return Json::object({{"eligible", counts.eligible},
                       {"answered", counts.answered},
                       {"dropped", dropped},
                       {"errors", counts.errors},
                       {"mismatched", counts.mismatched}});
}

bool new_answers_by_api(const Migration& migration) {
  return !migration.apis.empty() && routes(migration.status) &&
         relies_on_new(migration.spec.strategy);
}

}  // namespace

Json Migrations::shown(const State& state, const Migration& migration, bool verbose) const {
  Json json = brief(migration);
  json.set("data", render(migration.spec.data));
  json.set("failure_handling", render(migration.spec.failure_handling));
  json.set("guardrails", render(migration.spec.guardrails));
  json.set("reason", migration.reason);
  json.set("apis", shown_apis(state, migration, verbose));
  Json interlays = Json::array();
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    Json one = Json::object({{"id", interlay.identity.id}, {"uuid", interlay.identity.uuid}});
    if (verbose) one = interlays_.shown(state, interlay);
    one.set("old_endpoint", state.endpoints.at(interlay.endpoint)->identity.id);
    one.set("new_endpoint", state.endpoints.at(binding.endpoint)->identity.id);
    if (binding.taken_back) one.set("taken_back", true);
    interlays.push(std::move(one));
  }
  json.set("interlays", std::move(interlays));
  if (const auto summary = ledger_.summary(migration.identity.uuid)) {
    json.set("divergence", render(*summary));
  }
  return json;
}

Answer Migrations::list(const Call& call) const {
  const StatePtr state = keeper_.state();
  return list_of(state->migrations, [&](const Migration& migration) {
    return call.verbose ? shown(*state, migration, true) : brief(migration);
  });
}

Answer Migrations::get(const std::string& reference, const Call& call) const {
  const StatePtr state = keeper_.state();
  const MigrationPtr migration = find(state->migrations, reference);
  if (migration == nullptr) return not_found(kMigrationWord, reference);
  return Reply{.data = shown(*state, *migration, call.verbose), .etag = lasting_etag(*migration)};
}

// Another process would give the same one to something else.
std::string Migrations::lasting_etag(const Migration& migration) const {
  return keeper_.unstored(migration.identity.uuid) ? "" : etag_of(migration.identity);
}

Answer Migrations::create(const Json& body, const Call& call) {
  auto spec = read_migration(body);
  if (!spec) return refuse(spec.error());
  Keeper::Turn turn = keeper_.begin();
  if (find(turn.next.migrations, spec->id) != nullptr) {
    return already_exists(kMigrationWord, spec->id);
  }
  Migration migration;
  migration.identity = make_identity(spec->id, Origin::Api);
  migration.spec = std::move(*spec);
  const Identity identity = migration.identity;
  turn.journal(identity.uuid, call.actor, "", name_of(migration.status), "created");
  put(turn.next.migrations, std::move(migration));
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  const StatePtr state = keeper_.state();
  return Reply{.status = 201,
               .data = shown(*state, *state->migrations.at(identity.uuid), false),
               .etag = etag_of(identity)};
}

Answer Migrations::remove(const std::string& reference, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr migration = find(turn.next.migrations, reference);
  if (migration == nullptr) return not_found(kMigrationWord, reference);
  const Identity& identity = migration->identity;
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  const MigrationStatus status = migration->status;
  const bool completed = status == MigrationStatus::Completed;
  if ((routes(status) && !completed) || status == MigrationStatus::RollingBack) {
    return conflict(std::string("Cannot delete migration in status: ") + title_of(status));
  }
  if (completed) {
    if (const Status settled = settle_interlays(turn.next, *migration); !settled) {
      return refuse(settled.error());
    }
  }
  auto events = store_.events(identity.uuid, 0, kEventsMax);
  if (!events) return refuse(events.error());
  const std::string last = last_of(*keeper_.state(), *migration, events->size());
  turn.journal(identity.uuid, call.actor, name_of(status), name_of(status), "deleted");
  turn.next.migrations.erase(identity.uuid);
  if (const Status committed = keeper_.commit(turn); !committed) return refuse(committed.error());
  ledger_.forget(identity.uuid);
  spdlog::info("migration {}: deleted by {}: {}", identity.id, call.actor, last);
  Reply reply = deleted(identity);
  reply.data.set("epoch", keeper_.epoch());
  return reply;
}

Answer Migrations::add_interlay(const std::string& reference, const std::string& interlay_reference,
                                const Json& body, const Call& call) {
  Fields fields(body, "");
  const std::string endpoint_reference = fields.required_string("endpoint", kIdMax);
  const auto error = fields.finish();
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  const InterlayPtr interlay = find(turn.next.interlays, interlay_reference);
  if (interlay == nullptr) return not_found("Interlay", interlay_reference);
  if (error) return refuse(*error);
  const EndpointPtr endpoint = find(turn.next.endpoints, endpoint_reference);
  if (endpoint == nullptr) return not_found("Endpoint", endpoint_reference);

  const MigrationPtr holder = migration_of(turn.next, interlay->identity.uuid);
  if (holder != nullptr && holder->status == MigrationStatus::Completed) {
    return conflict("Interlay '" + interlay->identity.id +
                    "' is served by the completed migration '" + holder->identity.id +
                    "': delete that one first, its traffic stays on " +
                    (binding_of(*holder, interlay->identity.uuid)->taken_back ? "old" : "new"));
  }
  if (holder != nullptr) return interlay_held();
  const bool open =
      current->status == MigrationStatus::Pending || current->status == MigrationStatus::Ready;
  if (!open) return refuse(forbidden_move(current->status, MigrationStatus::Ready));
  if (endpoint->identity.uuid == interlay->endpoint) {
    return bad_request("endpoint: is the one that the interlay stands before already");
  }
  if (const auto objection = kind_objection(turn.next, *interlay, *endpoint)) {
    return bad_request(*objection);
  }
  Migration changed = *current;
  changed.bindings.push_back({interlay->identity.uuid, endpoint->identity.uuid});
  if (const auto objection = strategy_objection(turn.next, changed)) {
    return bad_request(*objection);
  }
  changed.status = MigrationStatus::Ready;
  turn.touch(changed.identity);
  turn.journal(changed.identity.uuid, call.actor, name_of(current->status), name_of(changed.status),
               "interlay '" + interlay->identity.id + "' added, to endpoint '" +
                   endpoint->identity.id + "'");
  put(turn.next.migrations, std::move(changed));
  if (const auto objection = loop_objection(turn.next)) {
    return bad_request("endpoint: " + *objection);
  }
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return Reply{.data = "added Interlay to migration"};
}

Answer Migrations::add_api(const std::string& reference, const std::string& api_reference,
                           const Json& body, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  const ApiPtr api = find(turn.next.apis, api_reference);
  if (api == nullptr) return not_found("Api", api_reference);
  auto binding = read_api_binding(turn.next, *api, body);
  if (!binding) return refuse(binding.error());
  if (migration_of_api(turn.next, api->identity.uuid) != nullptr) return api_held();
  const bool open =
      current->status == MigrationStatus::Pending || current->status == MigrationStatus::Ready;
  if (!open) return refuse(forbidden_move(current->status, MigrationStatus::Ready));
  Migration changed = *current;
  changed.apis.push_back(std::move(*binding));
  changed.status = MigrationStatus::Ready;
  turn.touch(changed.identity);
  turn.journal(changed.identity.uuid, call.actor, name_of(current->status), name_of(changed.status),
               "api '" + api->identity.id + "' added");
  put(turn.next.migrations, std::move(changed));
  if (const Status status = keeper_.commit(turn); !status) return refuse(status.error());
  return Reply{.data = "added Api to migration"};
}

std::string Migrations::objection_without_apis(const State& state, const Migration& migration) {
  const std::string gone = gone_new(state, migration, servers_);
  if (!gone.empty()) return "Everything would be sent to new, which is not there: " + gone;
  Migration whole = migration;
  whole.apis.clear();
  const std::string fewer = fewer_keys(state, whole, Side::New, ledger_, servers_);
  if (fewer.empty()) return {};
  return "New would do without what old has of what is in no api: " + fewer +
         ". Bring it to new first";
}

Answer Migrations::remove_apis(const std::string& reference, const Call& call) {
  const StatePtr state = keeper_.state();
  const MigrationPtr seen = find(state->migrations, reference);
  const bool asks = seen != nullptr && !call.force && new_answers_by_api(*seen);
  // Servers are asked outside of the turn.
  const std::string objection_of_servers = asks ? objection_without_apis(*state, *seen) : "";
  Keeper::Turn turn = keeper_.begin();
  const MigrationPtr current = find(turn.next.migrations, reference);
  if (current == nullptr) return not_found(kMigrationWord, reference);
  if (!call.force && !asks && new_answers_by_api(*current)) {
    return changed_meanwhile(kMigrationWord, current->identity.id);
  }
  const MigrationStatus status = current->status;
  if (status == MigrationStatus::Completed || status == MigrationStatus::RollingBack) {
    return refuse(cannot_change("apis", status));
  }
  Migration changed = *current;
  changed.apis.clear();
  if (status == MigrationStatus::Ready && changed.bindings.empty()) {
    changed.status = MigrationStatus::Pending;
  }
  for (const ApiBinding& part : current->apis) {
    if (!routes(status) || !is_rendered(turn.next, part)) continue;
    return conflict("new has what api '" + turn.next.apis.at(part.api)->identity.id +
                    "' asks for in another form than its clients know: without it nothing would "
                    "render their requests");
  }
  if (const auto objection = strategy_objection(turn.next, changed)) return conflict(*objection);
  if (const auto objection = apis_objection(turn.next, changed); routes(status) && objection) {
    return conflict(*objection);
  }
  if (!objection_of_servers.empty()) return conflict(objection_of_servers + ", or use ?force=true");
  turn.touch(changed.identity);
  turn.journal(changed.identity.uuid, call.actor, name_of(status), name_of(changed.status),
               "all apis taken out: its interlays go on as a whole");
  put(turn.next.migrations, std::move(changed));
  if (const Status committed = keeper_.commit(turn); !committed) return refuse(committed.error());
  return Reply{.data = Json::object({{"epoch", keeper_.epoch()}})};
}

Answer Migrations::status(const std::string& reference) const {
  const StatePtr state = keeper_.state();
  const MigrationPtr migration = find(state->migrations, reference);
  if (migration == nullptr) return not_found(kMigrationWord, reference);
  const Telemetry telemetry = data_plane_.telemetry();
  Json interlays = Json::array();
  for (const Binding& binding : migration->bindings) {
    const InterlayDefinition& interlay = *state->interlays.at(binding.interlay);
    const auto count = new_only_writes_.count(migration->identity.uuid, interlay.identity.uuid);
    Json one = Json::object({{"id", interlay.identity.id},
                             {"uuid", interlay.identity.uuid},
                             {"new_only_writes", count.writes},
                             {"new_only_writes_exact", count.exact},
                             {"catalog", servers_.catalogs().shown(
                                             interlay, *state->endpoints.at(interlay.endpoint))}});
    const Self here = at_interlay(*state, interlay, keeper_.self());
    one.set("shard", here.shard.empty() ? Json() : Json(here.shard));
    const Strategy strategy = to_strategy(migration->spec.strategy, here);
    if (const auto* rolling = std::get_if<RollingUpdate>(&strategy)) {
      one.set("migrated",
              rolling->here_migrated || migration->status == MigrationStatus::Completed);
    }
    const bool judged = migration->status == MigrationStatus::Running && !binding.taken_back;
    one.set("guardrails",
            render(judged ? guard_.view(migration->identity.uuid, binding.interlay) : std::nullopt,
                   migration->spec.guardrails));
    for (const InterlayTraffic& traffic : telemetry.interlays) {
      if (traffic.id != interlay.identity.id) continue;
      one.set("requests", Json::object({{"old", requests_of(traffic, Side::Old)},
                                        {"new", requests_of(traffic, Side::New)}}));
      one.set("copies", second_legs(traffic.second[0]));
      one.set("second_writes", second_legs(traffic.second[1]));
      one.set("sessions_open", traffic.sessions_open);
      one.set("sessions_staying", staying(traffic));
      one.set("late_writes",
              Json::object({{"old", traffic.late_writes[0]}, {"new", traffic.late_writes[1]}}));
      one.set("refused_moved", traffic.refused_moved);
      one.set("down", Json::object({{"old", traffic.down[0]}, {"new", traffic.down[1]}}));
    }
    interlays.push(std::move(one));
  }
  return Reply{
      .data = Json::object({{"id", migration->identity.id},
                            {"uuid", migration->identity.uuid},
                            {"status", name_of(migration->status)},
                            {"reason", migration->reason},
                            {"instance", keeper_.self().instance},
                            {"strategy", render(migration->spec.strategy)},
                            {"data", render(migration->spec.data)},
                            {"in_force", routes(migration->status)},
                            {"unstored", render(keeper_.unstored(migration->identity.uuid))},
                            {"epoch", keeper_.epoch()},
                            {"adopted_epoch", telemetry.adopted_epoch},
                            {"verification", verifications_.shown(migration->identity.uuid)},
                            {"apis", shown_apis(*state, *migration, false)},
                            {"interlays", std::move(interlays)}}),
      .etag = lasting_etag(*migration)};
}

Answer Migrations::events(const std::string& reference, const Call& call) const {
  const MigrationPtr migration = find(keeper_.state()->migrations, reference);
  if (migration == nullptr) return not_found(kMigrationWord, reference);
  auto events = store_.events(migration->identity.uuid, call.after, call.limit);
  if (!events) return refuse(events.error());
  Json data = Json::array();
  for (const Event& event : *events) {
    data.push(Json::object({{"seq", event.seq},
                            {"at", event.at},
                            {"actor", event.actor},
                            {"from", event.from.empty() ? Json() : Json(event.from)},
                            {"to", event.to},
                            {"reason", event.reason}}));
  }
  return Reply{.data = std::move(data)};
}

}  // namespace crossfade
