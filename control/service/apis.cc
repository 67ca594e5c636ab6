// Apis: checked against their templates before they are kept.
#include "control/service/apis.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "control/api_rules.h"
#include "control/service/audit.h"
#include "control/service/endpoints.h"
#include "control/service/listing.h"
#include "control/service/migration_apis.h"

namespace crossfade {

namespace {

constexpr const char* kApi = "Api";

std::uint64_t next_order(const State& state) {
  std::uint64_t last = 0;
  for (const auto& [uuid, api] : state.apis) last = std::max(last, api->order);
  return last + 1;
}

// The migration that has an api, whatever its status, for the refusal to delete that; empty when
// none has.
std::string user_of_api(const State& state, const std::string& uuid) {
  for (const auto& [ignored, migration] : state.migrations) {
    for (const ApiBinding& binding : migration->apis) {
      if (binding.api == uuid) return "migration '" + migration->identity.id + "'";
    }
  }
  return {};
}

// From 1: the first that is asked.
std::uint64_t precedence_of(const State& state, const ApiDefinition& api) {
  return 1 + static_cast<std::uint64_t>(std::ranges::count_if(
                 state.apis, [&](const auto& other) { return comes_before(*other.second, api); }));
}

}  // namespace

Json shown_bindings(const State& state, const std::vector<TemplateBinding>& bindings) {
  Json named = stored_bindings(bindings);
  for (Json& binding : *named.elements()) {
    const std::string uuid = *binding.find("template")->string();
    binding.set("template", state.templates.at(uuid)->identity.id);
  }
  return named;
}

Json shown(const State& state, const ApiDefinition& api) {
  const Identity& identity = api.identity;
  return Json::object({{"id", identity.id},
                       {"uuid", identity.uuid},
                       {"endpoint", state.endpoints.at(endpoint_of(state, api.spec))->identity.id},
                       {"fields", render(fields_of(state, api.spec))},
                       {"bindings", shown_bindings(state, api.spec.bindings)},
                       {"precedence", precedence_of(state, api)},
                       {"description", api.spec.description},
                       {"declared_in", identity.origin == Origin::File ? "file" : "api"},
                       {"created_at", identity.created_at},
                       {"updated_at", identity.updated_at}});
}

Answer Apis::list() const {
  const StatePtr state = keeper_.state();
  return list_of(state->apis, [&](const ApiDefinition& api) { return shown(*state, api); });
}

Answer Apis::get(const std::string& reference) const {
  const ApiPtr found = find(keeper_.state()->apis, reference);
  if (found == nullptr) return not_found(kApi, reference);
  return reply(found->identity.uuid, 200);
}

Answer Apis::reply(const std::string& uuid, int status) const {
  const StatePtr state = keeper_.state();
  const auto found = state->apis.find(uuid);
  if (found == state->apis.end()) return not_found(kApi, uuid);  // deleted meanwhile
  return Reply{.status = status,
               .data = shown(*state, *found->second),
               .etag = etag_of(found->second->identity)};
}

Answer Apis::create(const Json& body, const Call& call) {
  auto spec = read_api(body, "");
  if (!spec) return refuse(spec.error());
  Keeper::Turn turn = keeper_.begin();
  if (find(turn.next.apis, spec->id) != nullptr) return already_exists(kApi, spec->id);
  auto known = resolved(turn.next, std::move(*spec));
  if (!known) return refuse(known.error());
  if (Status status = check_api(turn.next, *known, ""); !status) return refuse(status.error());
  ApiDefinition api{.identity = make_identity(known->id, Origin::Api),
                    .spec = std::move(*known),
                    .order = next_order(turn.next)};
  const Identity identity = api.identity;
  put(turn.next.apis, std::move(api));
  if (Status fits = check_api_bindings(*keeper_.state(), turn.next); !fits) {
    return refuse(fits.error());
  }
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  spdlog::info("api {}: created by {}", identity.id, call.actor);
  return reply(identity.uuid, 201);
}

Answer Apis::patch(const std::string& reference, const Json& body, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const ApiPtr current = find(turn.next.apis, reference);
  if (current == nullptr) return not_found(kApi, reference);
  const Identity& identity = current->identity;
  if (identity.origin == Origin::File) return declared_in_file(kApi, identity.id);
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  auto spec = patch_api(current->spec, body);
  if (!spec) return refuse(spec.error());
  auto known = resolved(turn.next, std::move(*spec));
  if (!known) return refuse(known.error());
  if (Status status = check_api(turn.next, *known, ""); !status) return refuse(status.error());
  ApiDefinition patched{.identity = identity, .spec = std::move(*known), .order = current->order};
  touch(patched.identity);
  put(turn.next.apis, std::move(patched));
  if (Status fits = check_api_bindings(*keeper_.state(), turn.next); !fits)
    return refuse(fits.error());
  const StatePtr before = keeper_.state();
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  spdlog::info("api {}: changed by {}: {}", identity.id, call.actor,
               api_change(*before, *keeper_.state(), identity.uuid));
  return reply(identity.uuid, 200);
}

Answer Apis::remove(const std::string& reference, const Call& call) {
  Keeper::Turn turn = keeper_.begin();
  const ApiPtr current = find(turn.next.apis, reference);
  if (current == nullptr) return not_found(kApi, reference);
  const Identity& identity = current->identity;
  if (identity.origin == Origin::File) return declared_in_file(kApi, identity.id);
  if (!matches(call.if_match, etag_of(identity))) return precondition_failed(etag_of(identity));
  if (const std::string user = user_of_api(turn.next, identity.uuid); !user.empty()) {
    return conflict("Api '" + identity.id + "' is used by " + user);
  }
  turn.next.apis.erase(identity.uuid);
  if (Status fits = check_api_bindings(*keeper_.state(), turn.next); !fits) {
    return refuse(fits.error());
  }
  if (Status status = keeper_.commit(turn); !status) return refuse(status.error());
  spdlog::info("api {}: deleted by {}", identity.id, call.actor);
  return deleted(identity);
}

}  // namespace crossfade
