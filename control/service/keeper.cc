// Durable, in force, shown: in this order, and back.
#include "control/service/keeper.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/json/parse.h"
#include "control/json/write.h"
#include "control/table_builder.h"

namespace crossfade {

namespace {

constexpr const char* kEndpointDocument = "endpoint";
constexpr const char* kInterlayDocument = "interlay";
constexpr const char* kTemplateDocument = "template";
constexpr const char* kApiDocument = "api";
constexpr const char* kMigration = "migration";

// Notes what became of each resource; equal pointers are equal resources.
template <class Resource>
void note_changes(const char* kind, const ById<Resource>& before, const ById<Resource>& after,
                  Changes& changes) {
  for (const auto& [uuid, resource] : after) {
    const auto old = before.find(uuid);
    if (old != before.end() && old->second == resource) continue;
    changes.put.push_back({kind, uuid, resource->identity.id, to_text(to_stored(*resource))});
  }
  for (const auto& [uuid, resource] : before) {
    if (!after.contains(uuid)) changes.remove.push_back(uuid);
  }
}

template <class Resource>
Status restore_one(const Document& document, Result<Resource> (*read)(const Json&),
                   ById<Resource>& into) {
  auto json = parse_json(document.body);
  if (!json) return json.error();
  auto resource = read(*json);
  if (!resource) return resource.error();
  put(into, std::move(*resource));
  return success();
}

// References that the store must hold whole; a file that was edited by hand may not.
Status check_references(const State& state) {
  for (const auto& [uuid, interlay] : state.interlays) {
    if (!state.endpoints.contains(interlay->endpoint)) {
      return Error{Errc::BadConfig, "read the state file",
                   "interlay '" + interlay->identity.id + "' names an endpoint that is not there"};
    }
  }
  for (const auto& [uuid, definition] : state.templates) {
    if (!state.endpoints.contains(definition->spec.endpoint)) {
      return Error{
          Errc::BadConfig, "read the state file",
          "template '" + definition->identity.id + "' names an endpoint that is not there"};
    }
  }
  for (const auto& [uuid, api] : state.apis) {
    for (const TemplateBinding& binding : api->spec.bindings) {
      if (state.templates.contains(binding.template_ref)) continue;
      return Error{Errc::BadConfig, "read the state file",
                   "api '" + api->identity.id + "' names a template that is not there"};
    }
  }
  const auto has_templates = [&](const ApiBinding& api) {
    return std::ranges::all_of(api.bindings, [&](const TemplateBinding& binding) {
      return state.templates.contains(binding.template_ref);
    });
  };
  for (const auto& [uuid, migration] : state.migrations) {
    for (const ApiBinding& api : migration->apis) {
      if (state.apis.contains(api.api) && has_templates(api)) continue;
      return Error{Errc::BadConfig, "read the state file",
                   "migration '" + migration->identity.id + "' names what is not there"};
    }
    for (const Binding& binding : migration->bindings) {
      if (state.interlays.contains(binding.interlay) &&
          state.endpoints.contains(binding.endpoint)) {
        continue;
      }
      return Error{Errc::BadConfig, "read the state file",
                   "migration '" + migration->identity.id + "' names what is not there"};
    }
  }
  return success();
}

}  // namespace

void Keeper::Turn::journal(const std::string& migration, const std::string& actor,
                           const std::string& from, const std::string& to, std::string reason) {
  events_.push_back({.seq = 0,
                     .migration = migration,
                     .at = at_,
                     .actor = actor,
                     .from = from,
                     .to = to,
                     .reason = std::move(reason)});
}

StatePtr Keeper::state() const {
  const std::lock_guard held(readers_);
  return state_;
}

std::uint64_t Keeper::epoch() const {
  const std::lock_guard held(readers_);
  return confirmed_epoch_;
}

bool Keeper::confirmed() const {
  std::uint64_t handed = 0;
  {
    const std::lock_guard held(readers_);
    handed = handed_epoch_;
    if (handed != 0 && confirmed_epoch_ == handed) return true;
  }
  return handed != 0 && data_plane_.telemetry().adopted_epoch >= handed;  // taken over late
}

Keeper::Turn Keeper::begin() {
  Turn turn(writer_, clock_);
  turn.before_ = state();
  turn.next = *turn.before_;
  return turn;
}

Table Keeper::build(const State& state) const {
  return build_table(
      state, handed_epoch_ + 1, defaults_, self_,
      {.commands_of = [this](const Endpoint& endpoint) { return servers_.commands_of(endpoint); },
       .catalog_of =
           [this](const InterlayDefinition& interlay, const Endpoint& endpoint) {
             return servers_.catalogs().of(interlay, endpoint);
           }},
      handed_.get());
}

Status Keeper::publish(Table table) {
  if (handed_ != nullptr && confirmed_epoch_ == handed_epoch_ && same_routes(*handed_, table)) {
    return success();
  }
  handed_ = std::make_shared<const Table>(std::move(table));
  Status taken_over = data_plane_.publish(handed_);
  const std::lock_guard held(readers_);
  handed_epoch_ = handed_->epoch;
  if (taken_over) confirmed_epoch_ = handed_epoch_;
  return taken_over;
}

bool Keeper::outdated(const State& state) const {
  return handed_ != nullptr && confirmed() && !same_routes(*handed_, build(state));
}

Status Keeper::take_precaution(const State& state) const {
  return precaution_ ? precaution_(state) : success();
}

Status Keeper::put_in_force(const State& state) {
  if (Status status = take_precaution(state); !status) return status;
  return publish(build(state));
}

Changes Keeper::changes_between(const State& before, const State& after) {
  Changes changes;
  note_changes(kEndpointDocument, before.endpoints, after.endpoints, changes);
  note_changes(kInterlayDocument, before.interlays, after.interlays, changes);
  note_changes(kTemplateDocument, before.templates, after.templates, changes);
  note_changes(kApiDocument, before.apis, after.apis, changes);
  note_changes(kMigration, before.migrations, after.migrations, changes);
  return changes;
}

// With all that the store lacks, in one.
Status Keeper::store(Turn& turn) {
  Changes changes = changes_between(debt_ ? *debt_->stored : *turn.before_, turn.next);
  if (debt_) changes.events = debt_->events;
  changes.events.insert(changes.events.end(), turn.events_.begin(), turn.events_.end());
  changes.epoch = handed_epoch_ + 1;  // of the table that may follow: epochs never go back
  auto revision = store_.apply(changes, revision_);
  if (!revision) return revision.error();
  revision_ = *revision;
  if (!debt_) return success();
  const std::lock_guard held(readers_);
  spdlog::info("the state is stored again; it was not since {}", debt_->since);
  debt_.reset();
  return success();
}

Status Keeper::make_durable(Turn& turn) {
  const Status status = store(turn);
  if (status) return success();
  const Error& error = status.error();
  if (error.code == Errc::Conflict) {
    return Error{Errc::Unavailable, "",
                 "the store was changed behind our back: " + error.message() +
                     "; nothing was changed. A restart takes up what it has"};
  }
  const bool unsettled = error.code == Errc::System;  // and says so
  return Error{Errc::Unavailable, "write the state file",
               error.reason + (unsettled ? "" : "; nothing was changed")};
}

void Keeper::note_unstored(const Turn& turn, const std::string& why) {
  if (!debt_ && turn.events_.empty()) return;  // it has changed nothing
  const std::lock_guard held(readers_);
  if (!debt_) {
    spdlog::error(
        "what is in force is not stored: {}; the store is asked again each second, and until it "
        "takes it a restart goes by what it has: make room for it",
        why);
    debt_ = Debt{.stored = turn.before_, .events = {}, .since = turn.at_, .why = {}};
  }
  debt_->why = why;
  debt_->events.insert(debt_->events.end(), turn.events_.begin(), turn.events_.end());
}

std::optional<Keeper::Unstored> Keeper::unstored(const std::string& migration) const {
  const std::lock_guard held(readers_);
  if (!debt_) return std::nullopt;
  const auto stored = debt_->stored->migrations.find(migration);
  const auto shown = state_->migrations.find(migration);
  if (stored == debt_->stored->migrations.end() || shown == state_->migrations.end() ||
      stored->second == shown->second) {
    return std::nullopt;
  }
  return Unstored{.since = debt_->since, .why = debt_->why, .stored = stored->second};
}

std::string Keeper::unstored() const {
  const std::lock_guard held(readers_);
  return debt_ ? debt_->why : std::string();
}

bool Keeper::store_again() {
  if (unstored().empty()) return true;
  Turn turn = begin();
  if (!debt_) return true;
  const Status status = store(turn);
  if (!status) note_unstored(turn, status.error().message());
  return status.ok();
}

void Keeper::show(Turn& turn) {
  for (const Event& event : turn.events_) {
    const auto migration = turn.next.migrations.find(event.migration);
    if (migration == turn.next.migrations.end()) continue;
    spdlog::info("migration {}: {} by {}: {}", migration->second->identity.id, event.to,
                 event.actor, event.reason);
  }
  auto shown = std::make_shared<const State>(turn.next);
  turn.before_ = shown;
  turn.events_.clear();
  const std::lock_guard held(readers_);
  state_ = std::move(shown);
}

Status Keeper::commit(Turn& turn, Way way) {
  if (const Status status = take_precaution(turn.next); !status) {
    return Error{Errc::Unavailable, "", status.error().message() + "; nothing was changed"};
  }
  if (way == Way::Back) {
    if (const Status status = store(turn); !status) note_unstored(turn, status.error().message());
  } else if (Status status = make_durable(turn); !status) {
    (void)take_precaution(*turn.before_);  // what was taken for this one goes again
    return status;
  }
  if (const Status status = put_in_force(turn.next); !status) {
    if (way == Way::Onward) return take_back(turn, status.error());
    show(turn);
    return Error{Errc::Timeout, "publish the routing table", status.error().message()};
  }
  show(turn);
  return success();
}

Status Keeper::take_back(Turn& turn, const Error& why) {
  const State& before = *turn.before_;
  Changes changes = changes_between(turn.next, before);
  changes.epoch = handed_epoch_ + 1;
  for (const Event& event : turn.events_) {
    if (!before.migrations.contains(event.migration)) continue;
    changes.events.push_back(
        {.seq = 0,
         .migration = event.migration,
         .at = rfc3339(clock_()),
         .actor = kOurselves,
         .from = event.to,
         .to = event.from,
         .reason = "taken back: not every event loop took the new table over"});
  }
  auto revision = store_.apply(changes, revision_);
  if (!revision) {
    show(turn);
    return Error{Errc::Unavailable, "publish the routing table",
                 why.message() + "; and it could not be taken back on disk (" +
                     revision.error().reason +
                     "): the change stands, and is in force on every loop that answers"};
  }
  revision_ = *revision;
  if (const Status status = put_in_force(before); !status) {
    return Error{Errc::Unavailable, "publish the routing table",
                 why.message() + "; it was taken back, but not every loop has confirmed that yet"};
  }
  return Error{Errc::Unavailable, "publish the routing table",
               why.message() + "; it was taken back: nothing is changed"};
}

Status Keeper::restore() {
  auto stored = store_.read();
  if (!stored) return stored.error();
  State state;
  for (const Document& document : stored->documents) {
    Status status = success();
    if (document.kind == kEndpointDocument) {
      status = restore_one(document, endpoint_from_stored, state.endpoints);
    } else if (document.kind == kInterlayDocument) {
      status = restore_one(document, interlay_from_stored, state.interlays);
    } else if (document.kind == kTemplateDocument) {
      status = restore_one(document, template_from_stored, state.templates);
    } else if (document.kind == kApiDocument) {
      status = restore_one(document, api_from_stored, state.apis);
    } else {
      status = restore_one(document, migration_from_stored, state.migrations);
    }
    if (!status) {
      return Error{Errc::BadConfig, "read the state file",
                   document.kind + " '" + document.id + "': " + status.error().reason};
    }
  }
  if (Status status = check_references(state); !status) return status;
  revision_ = stored->revision;
  const std::lock_guard held(readers_);
  handed_epoch_ = stored->epoch;
  state_ = std::make_shared<const State>(std::move(state));
  return success();
}

}  // namespace crossfade
