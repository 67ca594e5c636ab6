// Forms of definitions, compared.
#include "control/service/audit.h"

#include <spdlog/spdlog.h>

#include "control/definitions/login.h"
#include "control/definitions/tls.h"
#include "control/json/difference.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

constexpr const char* kUnchanged = "nothing";

// What is not for people, or changes with everything.
void leave_out_identity(Json& json) {
  for (const char* name : {"id", "uuid", "origin", "version", "created_at", "updated_at",
                           "declared_in", "mock_secret"}) {
    json.erase(name);
  }
}

Form form_of(Json whole, Json shown) {
  leave_out_identity(whole);
  leave_out_identity(shown);
  return {std::move(whole), std::move(shown)};
}

Form open_form(Json json) { return form_of(json, json); }

Form form_of(const State&, const Endpoint& endpoint) {
  return form_of(to_stored(endpoint), render(endpoint));
}

Form form_of(const State& state, const InterlayDefinition& interlay) {
  Json whole = to_stored(interlay);
  whole.set("endpoint", state.endpoints.at(interlay.endpoint)->identity.id);
  Json shown = whole;
  shown.set("tls", render(interlay.tls, Secrets::Hidden));
  shown.set("auth", render(interlay.login, Secrets::Hidden));
  return form_of(std::move(whole), std::move(shown));
}

Form form_of(const State& state, const TemplateDefinition& definition) {
  Json json = to_stored(definition);
  json.set("endpoint", state.endpoints.at(definition.spec.endpoint)->identity.id);
  return open_form(std::move(json));
}

Form form_of(const State& state, const ApiDefinition& api) {
  Json json = to_stored(api);
  Json bindings = stored_bindings(api.spec.bindings);
  for (Json& binding : *bindings.elements()) {
    const std::string uuid = *binding.find("template")->string();
    binding.set("template", state.templates.at(uuid)->identity.id);
  }
  json.set("bindings", std::move(bindings));
  return open_form(std::move(json));
}

Form form_of(const MigrationSpec& spec) {
  return open_form(Json::object({{"description", spec.description},
                                 {"data", render(spec.data)},
                                 {"failure_handling", render(spec.failure_handling)},
                                 {"guardrails", render(spec.guardrails)}}));
}

template <class Resource>
std::string change(const State& before, const State& after, ById<Resource> State::*resources,
                   const std::string& uuid) {
  const std::string text = difference(form_of(before, *(before.*resources).at(uuid)),
                                      form_of(after, *(after.*resources).at(uuid)));
  return text.empty() ? kUnchanged : text;
}

template <class Resource>
void log_declared(const char* kind, const State& before, const State& after,
                  ById<Resource> State::*resources) {
  constexpr const char* kBy = "by the configuration file";
  for (const auto& [uuid, resource] : after.*resources) {
    const auto old = (before.*resources).find(uuid);
    if (old == (before.*resources).end()) {
      spdlog::info("{} {}: created {}", kind, resource->identity.id, kBy);
    } else if (const std::string what = change(before, after, resources, uuid);
               what != kUnchanged) {
      spdlog::info("{} {}: changed {}: {}", kind, resource->identity.id, kBy, what);
    }
  }
  for (const auto& [uuid, resource] : before.*resources) {
    if ((after.*resources).contains(uuid)) continue;
    spdlog::info("{} {}: deleted {}", kind, resource->identity.id, kBy);
  }
}

}  // namespace

std::string endpoint_change(const State& before, const State& after, const std::string& uuid) {
  return change(before, after, &State::endpoints, uuid);
}
std::string interlay_change(const State& before, const State& after, const std::string& uuid) {
  return change(before, after, &State::interlays, uuid);
}
std::string template_change(const State& before, const State& after, const std::string& uuid) {
  return change(before, after, &State::templates, uuid);
}
std::string api_change(const State& before, const State& after, const std::string& uuid) {
  return change(before, after, &State::apis, uuid);
}

std::string migration_change(const MigrationSpec& before, const MigrationSpec& after) {
  std::string text;
  const std::string former = to_text(render(before.strategy));
  const std::string next = to_text(render(after.strategy));
  if (former != next) text = "strategy changed from " + former + " to " + next;
  const std::string others = difference(form_of(before), form_of(after));
  if (others.empty()) return text;
  return text + (text.empty() ? "" : "; ") + "definition changed: " + others;
}

std::string last_of(const State& state, const Migration& migration, std::uint64_t events) {
  std::string text = std::string("it was ") + name_of(migration.status);
  if (!migration.reason.empty()) text += " (" + migration.reason + ")";
  text += ", strategy " + to_text(render(migration.spec.strategy));
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    text += ", interlay '" + interlay.identity.id + "' from '" +
            state.endpoints.at(interlay.endpoint)->identity.id + "' to '" +
            state.endpoints.at(binding.endpoint)->identity.id + "'" +
            (binding.taken_back ? " and back" : "");
  }
  for (const ApiBinding& part : migration.apis) {
    text += ", api '" + state.apis.at(part.api)->identity.id + "'";
  }
  return text + ", defined at " + migration.identity.created_at + ", with " +
         std::to_string(events) + " events";
}

void log_declared(const State& before, const State& after) {
  log_declared("endpoint", before, after, &State::endpoints);
  log_declared("interlay", before, after, &State::interlays);
  log_declared("template", before, after, &State::templates);
  log_declared("api", before, after, &State::apis);
}

}  // namespace crossfade
