// Reconciling a state with the configuration file.
#include "control/service/declared.h"

#include <optional>
#include <set>
#include <string>

#include "control/api_rules.h"
#include "control/definitions/login.h"
#include "control/json/fields.h"
#include "control/service/endpoint_place.h"
#include "control/service/interlay_rules.h"
#include "control/service/migration_apis.h"
#include "control/service/migration_rules.h"

namespace crossfade {

namespace {

Error at(const char* list, std::size_t index, const char* member, const std::string& complaint) {
  return Error{Errc::BadConfig, "",
               error_at(join_path(join_path(list, index), member), complaint).reason};
}

std::string made_by_api(const std::string& id) {
  return "'" + id + "' was made through the API: delete it there, or give this another name";
}

Status declare_endpoint(State& state, const EndpointSpec& spec, std::size_t index,
                        const Self& self) {
  const EndpointPtr current = find(state.endpoints, spec.id);
  if (current != nullptr && current->identity.origin == Origin::Api) {
    return at("endpoints", index, "id", made_by_api(spec.id));
  }
  // Where the settings are the same, so is what was loaded by them.
  const bool same_tls = current != nullptr && current->address.tls == spec.address.tls;
  Endpoint endpoint{
      .identity = current != nullptr ? current->identity : make_identity(spec.id, Origin::File),
      .address = spec.address,
      .description = spec.description,
      .shard = spec.shard};
  if (current != nullptr) {
    if (spec_of(*current) == spec) return success();
    if (!same_place(spec.address, current->address)) {
      if (const auto objection = file_place_objection(state, current->identity)) {
        return at("endpoints", index, "config",
                  *objection +
                      ". Roll back first, or, if the data is there, too, PATCH the endpoint "
                      "with ?force=true before the file has it");
      }
    }
    if (const auto objection = shard_objection(state, current->identity.uuid, spec.shard, self)) {
      return at("endpoints", index, "config.shard", *objection);
    }
    touch(endpoint.identity);
  }
  if (same_tls) endpoint.address.tls = current->address.tls;
  put(state.endpoints, std::move(endpoint));
  return success();
}

Status declare_interlay(State& state, const InterlaySpec& spec, std::size_t index) {
  const InterlayPtr current = find(state.interlays, spec.id);
  if (current != nullptr && current->identity.origin == Origin::Api) {
    return at("interlays", index, "id", made_by_api(spec.id));
  }
  const EndpointPtr endpoint = find(state.endpoints, spec.endpoint);
  InterlayDefinition interlay;
  if (current != nullptr) interlay = *current;
  if (current == nullptr) interlay.identity = make_identity(spec.id, Origin::File);
  const std::uint16_t port = spec.port == 0 ? interlay.port : spec.port;
  InterlaySpec resolved = spec;
  resolved.endpoint = endpoint->identity.uuid;
  resolved.port = port;
  if (current != nullptr && spec_of(*current) == resolved) return success();
  if (current != nullptr && current->endpoint != resolved.endpoint) {
    if (const auto objection = endpoint_objection(state, *current, resolved.endpoint)) {
      return at("interlays", index, "endpoint", *objection);
    }
  }
  if (const auto objection = login_objection(spec.login, endpoint->address)) {
    return at("interlays", index, "auth", *objection);
  }
  if (const auto objection = user_objection(endpoint->address.kind, spec.user)) {
    return at("interlays", index, "settings.user", *objection);
  }
  if (current != nullptr) {
    if (const auto objection = new_user_objection(state, *current, spec.user)) {
      return at("interlays", index, "settings.user", *objection);
    }
  }
  interlay.endpoint = resolved.endpoint;
  interlay.port = port;
  interlay.bind = spec.bind;
  if (!(interlay.tls == spec.tls)) interlay.tls = spec.tls;
  interlay.login = spec.login;
  interlay.settings = spec.settings;
  interlay.regions = spec.regions;
  interlay.user = spec.user;
  interlay.sql = spec.sql;
  interlay.description = spec.description;
  if (current != nullptr) touch(interlay.identity);
  put(state.interlays, std::move(interlay));
  return success();
}

// The ports of what is declared, once all of it is: one may have been another's until now.
Status check_ports(const State& before, const State& state, const DeclaredResources& declared) {
  for (std::size_t i = 0; i < declared.interlays.size(); ++i) {
    const InterlayDefinition& interlay = *find(state.interlays, declared.interlays[i].id);
    const std::string& uuid = interlay.identity.uuid;
    const InterlaySpec spec = spec_of(interlay);
    const auto former = before.interlays.find(uuid);
    if (former != before.interlays.end() && spec_of(*former->second) == spec) continue;
    if (const auto objection = loop_objection(state, spec, *state.endpoints.at(spec.endpoint))) {
      return at("interlays", i, "port", *objection);
    }
    if (const auto objection = port_objection(state, spec, uuid)) {
      return at("interlays", i, "port", *objection);
    }
  }
  return success();
}

// Clients of an interlay go on speaking what they spoke, and so do the two sides of a migration.
Status check_kinds(const State& before, const State& state) {
  const auto refused = [](const Endpoint& endpoint, const InterlayDefinition& interlay,
                          const char* how) {
    return Error{Errc::BadConfig, "",
                 "endpoints: '" + endpoint.identity.id + "' is of kind " +
                     name_of(endpoint.address.kind) + ", but interlay '" + interlay.identity.id +
                     how};
  };
  for (const auto& [uuid, interlay] : before.interlays) {
    const auto now = state.interlays.find(uuid);
    if (now == state.interlays.end()) continue;
    const Endpoint& endpoint = *state.endpoints.at(now->second->endpoint);
    if (endpoint.address.kind == before.endpoints.at(interlay->endpoint)->address.kind) continue;
    return refused(endpoint, *interlay, "' stands before one of another: give each another id");
  }
  for (const auto& [uuid, migration] : state.migrations) {
    for (const Binding& binding : migration->bindings) {
      const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
      const Endpoint& endpoint = *state.endpoints.at(binding.endpoint);
      if (!kind_objection(state, interlay, endpoint)) continue;
      return refused(endpoint, interlay,
                     "' of a migration to it is not: give that endpoint another id");
    }
  }
  return success();
}

// The definition to put in place of `current`, made now or touched; nullopt: it is the same.
template <class Definition, class Spec>
std::optional<Definition> declared_as(const std::shared_ptr<const Definition>& current,
                                      const Spec& spec) {
  Definition definition;
  if (current != nullptr) {
    if (current->spec == spec) return std::nullopt;
    definition = *current;
    touch(definition.identity);
  } else {
    definition.identity = make_identity(spec.id, Origin::File);
  }
  definition.spec = spec;
  return definition;
}

Status declare_template(State& state, const TemplateSpec& spec, std::size_t index) {
  const TemplatePtr current = find(state.templates, spec.id);
  if (current != nullptr && current->identity.origin == Origin::Api) {
    return at("templates", index, "id", made_by_api(spec.id));
  }
  const EndpointPtr endpoint = find(state.endpoints, spec.endpoint);
  TemplateSpec resolved = spec;
  resolved.endpoint = endpoint->identity.uuid;
  auto definition = declared_as(current, resolved);
  const EndpointKind protocol = endpoint->address.kind;
  if (!definition && current->meaning.protocol == protocol) return success();
  if (!definition) definition = *current;
  auto meaning = meaning_of(resolved, protocol, join_path("templates", index));
  if (!meaning) return Error{Errc::BadConfig, "", meaning.error().reason};
  definition->meaning = std::move(*meaning);
  put(state.templates, std::move(*definition));
  return success();
}

Status declare_api(State& state, const ApiSpec& spec, std::size_t index) {
  const ApiPtr current = find(state.apis, spec.id);
  if (current != nullptr && current->identity.origin == Origin::Api) {
    return at("apis", index, "id", made_by_api(spec.id));
  }
  auto definition = declared_as(current, *resolved(state, spec));
  const bool moved = current != nullptr && current->order != index;
  if (!definition && !moved) return success();
  if (!definition) definition = *current;
  definition->order = index;
  put(state.apis, std::move(*definition));
  return success();
}

// Templates fit their endpoints, and apis their templates, whoever made them.
Status check_apis(const State& before, const State& state) {
  for (const auto& [uuid, definition] : state.templates) {
    const Endpoint& endpoint = *state.endpoints.at(definition->spec.endpoint);
    if (endpoint.address.kind == definition->meaning.protocol) continue;
    return Error{Errc::BadConfig, "",
                 "endpoints: '" + endpoint.identity.id +
                     "' is of another kind now, but template '" + definition->identity.id +
                     "' uses it"};
  }
  for (const auto& [uuid, api] : state.apis) {
    const std::string path = "api '" + api->identity.id + "'";
    if (const Status status = check_api(state, api->spec, path); !status) {
      return Error{Errc::BadConfig, "", "templates: " + status.error().reason};
    }
  }
  if (const Status status = check_api_bindings(before, state); !status) {
    return Error{Errc::BadConfig, "", "templates: " + status.error().reason};
  }
  return success();
}

// Removes what the file no longer has.
template <class Resource>
void drop(ById<Resource>& resources, const std::set<std::string>& declared) {
  std::erase_if(resources, [&](const auto& entry) {
    const Identity& identity = entry.second->identity;
    return identity.origin == Origin::File && !declared.contains(identity.id);
  });
}

// Whoever still needs what is gone.
Status check_left(const State& before, const State& after) {
  const auto missing = [](const char* list, const std::string& what, const std::string& user) {
    return Error{Errc::BadConfig, "",
                 error_at(list, what + " is no longer declared, but " + user + " uses it").reason};
  };
  for (const auto& [uuid, migration] : after.migrations) {
    const std::string user = "migration '" + migration->identity.id + "'";
    for (const ApiBinding& api : migration->apis) {
      if (!after.apis.contains(api.api)) {
        return missing("apis", "'" + before.apis.at(api.api)->identity.id + "'", user);
      }
      for (const TemplateBinding& binding : api.bindings) {
        const std::string& needed = binding.template_ref;
        if (after.templates.contains(needed)) continue;
        return missing("templates", "'" + before.templates.at(needed)->identity.id + "'", user);
      }
    }
    for (const Binding& binding : migration->bindings) {
      if (!after.interlays.contains(binding.interlay)) {
        return missing("interlays", "'" + before.interlays.at(binding.interlay)->identity.id + "'",
                       user);
      }
      if (!after.endpoints.contains(binding.endpoint)) {
        return missing("endpoints", "'" + before.endpoints.at(binding.endpoint)->identity.id + "'",
                       user);
      }
    }
  }
  for (const auto& [uuid, definition] : after.templates) {
    const std::string& endpoint = definition->spec.endpoint;
    if (after.endpoints.contains(endpoint)) continue;
    return missing("endpoints", "'" + before.endpoints.at(endpoint)->identity.id + "'",
                   "template '" + definition->identity.id + "'");
  }
  for (const auto& [uuid, api] : after.apis) {
    for (const TemplateBinding& binding : api->spec.bindings) {
      if (after.templates.contains(binding.template_ref)) continue;
      return missing("templates",
                     "'" + before.templates.at(binding.template_ref)->identity.id + "'",
                     "api '" + api->identity.id + "'");
    }
  }
  for (const auto& [uuid, interlay] : after.interlays) {
    if (after.endpoints.contains(interlay->endpoint)) continue;
    return missing("endpoints", "'" + before.endpoints.at(interlay->endpoint)->identity.id + "'",
                   "interlay '" + interlay->identity.id + "'");
  }
  return success();
}

}  // namespace

Status reconcile(State& state, const DeclaredResources& declared, const Self& self) {
  const State before = state;
  std::set<std::string> endpoints;
  std::set<std::string> interlays;
  std::set<std::string> templates;
  std::set<std::string> apis;
  for (const TemplateSpec& spec : declared.templates) templates.insert(spec.id);
  for (const ApiSpec& spec : declared.apis) apis.insert(spec.id);
  for (const EndpointSpec& spec : declared.endpoints) endpoints.insert(spec.id);
  for (const InterlaySpec& spec : declared.interlays) interlays.insert(spec.id);
  // Gone interlays first: the port of one may be the new port of another.
  drop(state.interlays, interlays);
  for (std::size_t i = 0; i < declared.endpoints.size(); ++i) {
    if (Status status = declare_endpoint(state, declared.endpoints[i], i, self); !status)
      return status;
  }
  for (std::size_t i = 0; i < declared.interlays.size(); ++i) {
    if (Status status = declare_interlay(state, declared.interlays[i], i); !status) return status;
  }
  for (std::size_t i = 0; i < declared.templates.size(); ++i) {
    if (Status status = declare_template(state, declared.templates[i], i); !status) return status;
  }
  for (std::size_t i = 0; i < declared.apis.size(); ++i) {
    if (Status status = declare_api(state, declared.apis[i], i); !status) return status;
  }
  drop(state.apis, apis);
  drop(state.templates, templates);
  drop(state.endpoints, endpoints);
  if (Status status = check_left(before, state); !status) return status;
  if (Status status = check_kinds(before, state); !status) return status;
  if (Status status = check_ports(before, state, declared); !status) return status;
  if (Status status = check_apis(before, state); !status) return status;
  if (const auto objection = loop_objection(state)) {
    return Error{Errc::BadConfig, "", error_at("interlays", *objection).reason};
  }
  return success();
}

}  // namespace crossfade
