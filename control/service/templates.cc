// Templates: read whole before they are kept.
#include "control/service/templates.h"

#include <spdlog/spdlog.h>

#include "control/api_rules.h"
#include "control/service/audit.h"
#include "control/service/endpoints.h"
#include "control/service/listing.h"
#include "control/service/migration_apis.h"

namespace crossfade {

namespace {

constexpr const char* kTemplate = "Template";

Json shown(const State& state, const TemplateDefinition& definition) {
  const Identity& identity = definition.identity;
  const TemplateSpec& spec = definition.spec;
  return Json::object({{"id", identity.id},
                       {"uuid", identity.uuid},
                       {"endpoint", state.endpoints.at(spec.endpoint)->identity.id},
                       {"kind", template_word(definition.meaning.kind)},
                       {"query", spec.query},
                       {"fields", render(definition.meaning.fields)},
                       {"description", spec.description},
                       {"declared_in", identity.origin == Origin::File ? "file" : "api"},
                       {"created_at", identity.created_at},
                       {"updated_at", identity.updated_at}});
}

bool binds(const std::vector<TemplateBinding>& bindings, const std::string& uuid) {
  for (const TemplateBinding& binding : bindings) {
    if (binding.template_ref == uuid) return true;
  }
  return false;
}

// Who uses a template, for the refusal to delete it; empty when nobody does.
std::string user_of_template(const State& state, const std::string& uuid) {
  for (const auto& [ignored, api] : state.apis) {
    if (binds(api->spec.bindings, uuid)) return "api '" + api->identity.id + "'";
  }
  for (const auto& [ignored, migration] : state.migrations) {
    for (const ApiBinding& api : migration->apis) {
      if (binds(api.bindings, uuid)) return "migration '" + migration->identity.id + "'";
    }
  }
  return {};
}

// The first api that does not fit a template as it is now.
std::optional<std::string> unfit_api(const State& state, const std::string& uuid) {
  for (const auto& [ignored, api] : state.apis) {
    if (!binds(api->spec.bindings, uuid)) continue;
    const Status status = check_api(state, api->spec, "");
    if (!status) return "Api '" + api->identity.id + "' would not fit: " + status.error().reason;
  }
  return std::nullopt;
}

}  // namespace

Answer Templates::list() const {
  const StatePtr state = keeper_.state();
  return list_of(state->templates,
                 [&](const TemplateDefinition& one) { return shown(*state, one); });
}

Answer Templates::get(const std::string& reference) const {
  const TemplatePtr found = find(keeper_.state()->templates, reference);
  if (found == nullptr) return not_found(kTemplate, reference);
  return reply(found->identity.uuid, 200);
}

Answer Templates::reply(const std::string& uuid, int status) const {
  const StatePtr state = keeper_.state();
  const auto found = state->templates.find(uuid);
  if (found == state->templates.end()) return not_found(kTemplate, uuid);  // deleted meanwhile
  return Reply{.status = status,
               .data = shown(*state, *found->second),
               .etag = etag_of(found->second->identity)};
}

Answer Templates::create(const Json& body, const Call& call) {
  auto spec = read_template(body, "");
  if (!spec) return refuse(spec.error());
  Keeper::Turn turn = keeper_.begin();
  if (find(turn.next.templates, spec->id) != nullptr) return already_exists(kTemplate, spec->id);
  const EndpointPtr endpoint = find(turn.next.endpoints, spec->endpoint);
  if (endpoint == nullptr) return not_found("Endpoint", spec->endpoint);
  auto meaning = new_meaning_of(*spec, endpoint->address.kind, "");
  if (!meaning) return refuse(meaning.error());
  spec->endpoint = endpoint->identity.uuid;
  TemplateDefinition definition{.identity = make_identity(spec->id, Origin::Api),
                                .spec = std::move(*spec),
                                .meaning = std::move(*meaning)};
  const Identity identity = definition.identity;
  put(turn.next.templates, std::move(definition));
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  spdlog::info("template {}: created by {}", identity.id, call.actor);
  return reply(identity.uuid, 201);
}

Answer Templates::patch(const std::string& reference, const Json& body, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const TemplatePtr current = find(turn.next.templates, reference);
  if (current == nullptr) return not_found(kTemplate, reference);
  const Identity& identity = current->identity;
  if (identity.origin == Origin::File) return declared_in_file(kTemplate, identity.id);
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  auto spec = patch_template(current->spec, body);
  if (!spec) return refuse(spec.error());
  const EndpointPtr endpoint = find(turn.next.endpoints, spec->endpoint);
  if (endpoint == nullptr) return not_found("Endpoint", spec->endpoint);
  auto meaning = new_meaning_of(*spec, endpoint->address.kind, "");
  if (!meaning) return refuse(meaning.error());
  spec->endpoint = endpoint->identity.uuid;
  TemplateDefinition patched{
      .identity = identity, .spec = std::move(*spec), .meaning = std::move(*meaning)};
  touch(patched.identity);
  put(turn.next.templates, std::move(patched));
  if (const auto objection = unfit_api(turn.next, identity.uuid)) return conflict(*objection);
  if (Status fits = check_api_bindings(*keeper_.state(), turn.next); !fits)
    return refuse(fits.error());
  const StatePtr before = keeper_.state();
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  spdlog::info("template {}: changed by {}: {}", identity.id, call.actor,
               template_change(*before, *keeper_.state(), identity.uuid));
  return reply(identity.uuid, 200);
}

Answer Templates::remove(const std::string& reference, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const TemplatePtr current = find(turn.next.templates, reference);
  if (current == nullptr) return not_found(kTemplate, reference);
  const Identity& identity = current->identity;
  if (identity.origin == Origin::File) return declared_in_file(kTemplate, identity.id);
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  if (const std::string user = user_of_template(turn.next, identity.uuid); !user.empty()) {
    return conflict("Template '" + identity.id + "' is used by " + user);
  }
  turn.next.templates.erase(identity.uuid);
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  spdlog::info("template {}: deleted by {}", identity.id, call.actor);
  return deleted(identity);
}

}  // namespace crossfade
