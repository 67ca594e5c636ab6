// Bindings of an api to templates of its new side.
#include "control/service/migration_apis.h"

#include <algorithm>
#include <set>
#include <string_view>

#include "control/api_entries.h"
#include "control/api_rules.h"
#include "control/features.h"
#include "control/service/apis.h"
#include "control/service/moving_keys.h"
#include "control/service/rendered_sql.h"
#include "protocols/redis/template.h"

namespace crossfade {

namespace {

bool is_own(const ApiDefinition& api, const TemplateBinding& binding) {
  return std::ranges::any_of(api.spec.bindings, [&](const TemplateBinding& own) {
    return own.template_ref == binding.template_ref;
  });
}

// What a template of the new side asks for.
Status check_other(const State& state, const ApiDefinition& api, const TemplateBinding& binding,
                   const std::string& place) {
  const TemplateDefinition& definition = *state.templates.at(binding.template_ref);
  const std::string& home = endpoint_of(state, api.spec);
  const std::string path = join_path(place, "template");
  const std::string id = quoted(definition.identity.id);
  if (definition.spec.endpoint == home) {
    return error_at(path, id + " is none of the api's, and of the endpoint that serves it already");
  }
  if (definition.meaning.protocol != state.endpoints.at(home)->address.kind) {
    return error_at(path, id + " is of a " + name_of(definition.meaning.protocol) + " endpoint");
  }
  const std::vector<FieldSpec> fields = fields_of(state, api.spec);
  for (const FieldSpec& field : definition.meaning.fields) {
    if (!field.required || find_field(fields, mapped(binding, field.name)) != nullptr) continue;
    return error_at(join_path(place, "fields"), "field " + quoted(field.name) + " of template " +
                                                    id +
                                                    " is none of the api's: map it to one of them");
  }
  return success();
}

constexpr const char* kOtherSplit =
    "writes of an api that go to new alone take its keys along, and what moves is then a matter of "
    "keys: leave split_by out, or give write_mode a dual_write with old_authoritative";

constexpr const char* kWritesWouldMove =
    " is of PostgreSQL, and its writes would go to new alone, while those to the same tables that "
    "are of no api go to old: neither side would have both. Give write_mode a dual_write with "
    "old_authoritative, whose writes go to both sides whoever they belong to, or, where something "
    "else feeds new, a cutover with a write_percentage of 0.0";

constexpr const char* kOldWouldLag =
    "requests of no api are read from old, which may be behind under new_authoritative: give "
    "write_mode the policy old_authoritative";

// What stays is read from old: it has to have all that is written but what moves with its keys.
std::optional<std::string> strategy_objection_of_apis(const StrategySpec& strategy) {
  if (moves_writes(strategy)) {
    const auto* canary = std::get_if<CanarySpec>(&strategy);
    const bool by_key =
        canary == nullptr || canary->split_by.value_or(SplitBy::Key) == SplitBy::Key;
    return by_key ? std::nullopt : std::optional<std::string>(kOtherSplit);
  }
  const auto& mode = write_mode_of(strategy);
  const bool lags =
      mode && mode->mode == WriteMode::Mode::DualWrite && mode->policy == Policy::NewAuthoritative;
  return lags ? std::optional<std::string>(kOldWouldLag) : std::nullopt;
}

bool stands_before(const State& state, const Binding& binding, const std::string& endpoint) {
  return state.interlays.at(binding.interlay)->endpoint == endpoint;
}

// The first that is none of the api's; null: there is none.
const TemplateDefinition* other_of(const State& state, const ApiBinding& part) {
  const ApiDefinition& api = *state.apis.at(part.api);
  const auto other = std::ranges::find_if(
      part.bindings, [&](const TemplateBinding& binding) { return !is_own(api, binding); });
  return other == part.bindings.end() ? nullptr : state.templates.at(other->template_ref).get();
}

std::string to_be_served(const ApiDefinition& api, const TemplateDefinition& other) {
  return "api " + quoted(api.identity.id) + " is to be served by template " +
         quoted(other.identity.id);
}

// Requests are written anew where they are known to be the api's, and by the server that they go
// to.
std::optional<std::string> place_objection(const State& state, const Migration& migration,
                                           const ApiBinding& part) {
  const TemplateDefinition* const other = other_of(state, part);
  if (other == nullptr) return std::nullopt;
  const ApiDefinition& api = *state.apis.at(part.api);
  if (governs_all(state, migration)) {
    return to_be_served(api, *other) +
           ", and a flag that names no api of the migration governs all traffic, which is passed "
           "as "
           "it is: disable that flag, or bind templates of the api itself";
  }
  for (const Binding& binding : migration.bindings) {
    if (!stands_before(state, binding, endpoint_of(state, api.spec)) ||
        binding.endpoint == other->spec.endpoint) {
      continue;
    }
    return to_be_served(api, *other) + ", whose endpoint is not where interlay " +
           quoted(state.interlays.at(binding.interlay)->identity.id) + " goes to";
  }
  return std::nullopt;
}

// Of Redis: written anew are requests whose keys are on new alone, as what is written to both
// sides, or read from either, is the same there.
std::optional<std::string> rendering_objection(const State& state, const Migration& migration,
                                               const ApiBinding& part) {
  const TemplateDefinition* const other = other_of(state, part);
  if (other == nullptr) return std::nullopt;
  const ApiDefinition& api = *state.apis.at(part.api);
  const std::string id = "api " + quoted(api.identity.id);
  if (!governs_all(state, migration) && !moves_writes(foreseen(migration.spec.strategy))) {
    return to_be_served(api, *other) +
           ": requests are rendered anew where an api moves with its writes, as both sides are to "
           "have the same under this strategy. Leave write_mode out, or bind templates of the api "
           "itself";
  }
  if (auto objection = place_objection(state, migration, part)) return objection;
  if (std::ranges::any_of(part.bindings,
                          [&](const TemplateBinding& binding) { return is_own(api, binding); })) {
    return to_be_served(api, *other) +
           " and by templates of its own: on new its keys have one form. Bind either";
  }
  const Serving serving(state, part);
  std::set<std::string_view> used;
  for (const TemplateBinding& own : api.spec.bindings) {
    const TemplateDefinition& asked = *state.templates.at(own.template_ref);
    const auto found = serving.of(own);
    if (found.size() != 1) {
      return id + " has template " + quoted(asked.identity.id) + ", a " +
             template_word(asked.meaning.kind) + ", and " +
             (found.empty() ? "none of that kind serves it"
                            : "more than one of that kind could serve it") +
             ": bind exactly one";
    }
    const TemplateDefinition& serves = *state.templates.at(found.front()->template_ref);
    if (!used.insert(found.front()->template_ref).second) {
      return "template " + quoted(serves.identity.id) + " would serve more than one " +
             template_word(asked.meaning.kind) + " of " + id + ": make them apis of their own";
    }
    for (const TemplateDefinition* one : {&asked, &serves}) {
      auto form = redis::read_template(one->spec.query);
      if (form && redis::does_data_only(*form)) continue;
      return "template " + quoted(one->identity.id) +
             " can not be rendered, or stand for what is: it has to name keys, by a command that "
             "is "
             "built in and does not block, scan, or change its connection";
    }
    for (const FieldSpec& field : serves.meaning.fields) {
      const bool has = std::ranges::any_of(asked.meaning.fields, [&](const FieldSpec& candidate) {
        return mapped(own, candidate.name) == mapped(*found.front(), field.name);
      });
      if (has || !field.required) continue;
      return "template " + quoted(asked.identity.id) + " has nothing for the field " +
             quoted(field.name) + " of " + quoted(serves.identity.id) + ", which serves it";
    }
    if (asked.meaning.kind == Kind::Read) continue;
    for (const FieldSpec& field : asked.meaning.fields) {
      const bool kept = std::ranges::any_of(serves.meaning.fields, [&](const FieldSpec& candidate) {
        return mapped(own, field.name) == mapped(*found.front(), candidate.name);
      });
      if (kept) continue;
      return "template " + quoted(serves.identity.id) + " has no use for the field " +
             quoted(field.name) + " of " + quoted(asked.identity.id) +
             ", which it is to serve: what clients write by it would be nowhere";
    }
  }
  return std::nullopt;
}

// Of PostgreSQL: what is read can go by api, as it is or written anew.
std::optional<std::string> sql_objection(const State& state, const Migration& migration,
                                         const ApiBinding& part) {
  const ApiDefinition& api = *state.apis.at(part.api);
  if (!governs_all(state, migration) && moves_writes(foreseen(migration.spec.strategy))) {
    return "api " + quoted(api.identity.id) + kWritesWouldMove;
  }
  if (auto objection = place_objection(state, migration, part)) return objection;
  return rendered_sql_objection(state, migration, part);
}

std::optional<std::string> api_objection(const State& state, const Migration& migration,
                                         const ApiBinding& part) {
  const ApiDefinition& api = *state.apis.at(part.api);
  const std::string& uuid = endpoint_of(state, api.spec);
  const Endpoint& endpoint = *state.endpoints.at(uuid);
  const std::string id = "api " + quoted(api.identity.id);
  if (endpoint.address.kind == EndpointKind::Postgres) {
    if (auto objection = sql_objection(state, migration, part)) return objection;
  } else if (auto objection = rendering_objection(state, migration, part)) {
    return objection;
  }
  const bool before = std::ranges::any_of(migration.bindings, [&](const Binding& binding) {
    return stands_before(state, binding, uuid);
  });
  if (before) return std::nullopt;
  return id + " has no new side: add the interlay before endpoint " + quoted(endpoint.identity.id) +
         " to the migration, with the endpoint that its requests are to go to";
}

// What it is given has to be apis, or nothing would ever move.
std::optional<std::string> fig_objection(const State& state, const Migration& migration) {
  if (!std::holds_alternative<StranglerFigSpec>(migration.spec.strategy)) return std::nullopt;
  if (migration.apis.empty()) {
    return "strangler_fig moves apis, and none is attached to the migration: attach those that its "
           "features name (POST …/migrations/{id}/api/{api})";
  }
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    if (has_api_of(state, migration, interlay.endpoint)) continue;
    return "interlay " + quoted(interlay.identity.id) +
           " has no api in this migration, and strangler_fig would move nothing of it: attach an "
           "api of its endpoint";
  }
  return std::nullopt;
}

Status check_mapping(const TemplateDefinition& definition, const TemplateBinding& binding,
                     const std::string& place) {
  for (const auto& [from, to] : binding.fields) {
    if (find_field(definition.meaning.fields, from) != nullptr) continue;
    return error_at(join_path(place, "fields"),
                    quoted(from) + " is no field of template " + quoted(definition.identity.id));
  }
  return success();
}

}  // namespace

Result<ApiBinding> read_api_binding(const State& state, const ApiDefinition& api,
                                    const Json& body) {
  Fields fields(body, "");
  ApiBinding binding{.api = api.identity.uuid, .bindings = {}};
  const auto id = fields.string("id", kIdMax);
  if (id && *id != api.identity.id && *id != api.identity.uuid) {
    fields.complain("id", "is not the api of the path");
  }
  const Json* json = fields.required("bindings");
  if (auto error = fields.finish()) return *error;
  auto read = read_bindings(*json, "bindings");
  if (!read) return read.error();
  auto known = resolved(state, std::move(*read));
  if (!known) return known.error();
  binding.bindings = std::move(*known);
  if (Status status = check_api_binding(state, binding, ""); !status) return status.error();
  return binding;
}

Status check_api_binding(const State& state, const ApiBinding& binding, const std::string& path) {
  const ApiDefinition& api = *state.apis.at(binding.api);
  std::set<std::string> seen;
  const TemplateDefinition* other = nullptr;  // the first that is none of the api's
  for (std::size_t i = 0; i < binding.bindings.size(); ++i) {
    const TemplateBinding& one = binding.bindings[i];
    const TemplateDefinition& definition = *state.templates.at(one.template_ref);
    const std::string place = join_path(join_path(path, "bindings"), i);
    if (!seen.insert(one.template_ref).second) {
      return error_at(join_path(place, "template"),
                      quoted(definition.identity.id) + " is bound twice");
    }
    if (Status status = check_mapping(definition, one, place); !status) return status;
    if (is_own(api, one)) continue;
    if (Status status = check_other(state, api, one, place); !status) return status;
    if (other == nullptr) other = &definition;
    if (definition.spec.endpoint != other->spec.endpoint) {
      return error_at(join_path(place, "template"),
                      quoted(definition.identity.id) + " is of another endpoint than " +
                          quoted(other->identity.id) + ": an api has one new side");
    }
  }
  return success();
}

bool is_rendered(const State& state, const ApiBinding& part) {
  const ApiDefinition& api = *state.apis.at(part.api);
  return std::ranges::any_of(part.bindings,
                             [&](const TemplateBinding& binding) { return !is_own(api, binding); });
}

std::optional<std::string> apis_objection(const State& state, const Migration& migration) {
  if (auto objection = fig_objection(state, migration)) return objection;
  if (migration.apis.empty()) return std::nullopt;
  for (const ApiBinding& part : migration.apis) {
    if (auto objection = api_objection(state, migration, part)) return objection;
  }
  if (governs_all(state, migration)) return std::nullopt;
  const StrategySpec strategy = foreseen(migration.spec.strategy);
  if (auto objection = strategy_objection_of_apis(strategy)) return objection;
  return moves_writes(strategy) ? keys_objection(state, migration) : std::nullopt;
}

std::string what_moves_by_api(const State& state, const Migration& migration) {
  if (migration.apis.empty()) return "no api takes part";
  if (governs_all(state, migration)) return "all requests go by the strategy, whatever their api";
  std::size_t apis = 0;
  std::size_t templates = 0;
  for (const ApiBinding& part : migration.apis) {
    if (!takes_part(migration, *state.apis.at(part.api))) continue;
    ++apis;
    templates += part.bindings.size();
  }
  std::string sentence =
      std::to_string(templates) + " template(s) of " + std::to_string(apis) + " api(s)";
  if (moves_writes(foreseen(migration.spec.strategy))) {
    sentence = "keys that are named by " + sentence +
               " go by the strategy, with all that is done to them; all else is on old";
  } else {
    sentence = "what matches one of " + sentence +
               " goes by the strategy; all else is answered by "
               "old";
  }
  for (const Binding& binding : migration.bindings) {
    const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
    if (governed_at(state, migration, interlay.endpoint) != Governed::All) continue;
    sentence += "; interlay " + quoted(interlay.identity.id) + " has no api, and moves as a whole";
  }
  return sentence;
}

Status check_api_bindings(const State& before, const State& after) {
  for (const auto& [uuid, migration] : after.migrations) {
    // What is complete has no say in requests any more but for where they go as a whole.
    const bool in_parts =
        routes(migration->status) && migration->status != MigrationStatus::Completed;
    const auto former = before.migrations.find(uuid);
    const auto objection = in_parts ? apis_objection(after, *migration) : std::nullopt;
    // What was against it before is no fault of this change: another version has let it start.
    const bool is_new = objection && (former == before.migrations.end() ||
                                      objection != apis_objection(before, *former->second));
    if (is_new) {
      return Error{Errc::Conflict, "",
                   "Migration '" + migration->identity.id + "' routes by api: " + *objection};
    }
    if (Status status = check_moved_keys(before, after, *migration); !status) return status;
    for (const ApiBinding& binding : migration->apis) {
      const std::string& api = after.apis.at(binding.api)->identity.id;
      const Status status = check_api_binding(after, binding, "");
      if (status) continue;
      return Error{Errc::Conflict, "",
                   "Api '" + api + "' would not fit migration '" + migration->identity.id +
                       "': " + status.error().reason};
    }
  }
  return success();
}

Json shown_apis(const State& state, const Migration& migration, bool verbose) {
  Json apis = Json::array();
  for (const ApiBinding& binding : migration.apis) {
    const ApiDefinition& api = *state.apis.at(binding.api);
    Json one = Json::object({{"id", api.identity.id}, {"uuid", api.identity.uuid}});
    Json bindings = shown_bindings(state, binding.bindings);
    if (verbose) {
      one = shown(state, api);
      one.set("migration", Json::object({{"id", migration.identity.id},
                                         {"uuid", migration.identity.uuid},
                                         {"status", name_of(migration.status)},
                                         {"bindings", std::move(bindings)}}));
    } else {
      one.set("bindings", std::move(bindings));
    }
    apis.push(std::move(one));
  }
  return apis;
}

}  // namespace crossfade
