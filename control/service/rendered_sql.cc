// Pairs of templates: what one of them asks for, and another answers.
#include "control/service/rendered_sql.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "control/api_entries.h"
#include "control/api_rules.h"
#include "control/service/endpoints.h"
#include "protocols/postgres/rendering.h"
#include "protocols/postgres/template.h"

namespace crossfade {

namespace {

using postgres::Rendering;

// One of the api's own, and what serves it in its stead.
struct Served {
  const TemplateDefinition& own;
  const TemplateDefinition& other;
  Rendering::Fields fields;

  std::string named() const {
    return "template " + quoted(other.identity.id) + ", which serves " + quoted(own.identity.id);
  }
};

// Those that are clear.
std::vector<Served> served(const State& state, const ApiBinding& part) {
  std::vector<Served> pairs;
  const Serving serving(state, part);
  for (const TemplateBinding& binding : state.apis.at(part.api)->spec.bindings) {
    const auto found = serving.of(binding);
    if (found.size() != 1 || found.front()->template_ref == binding.template_ref) continue;
    const TemplateDefinition& own = *state.templates.at(binding.template_ref);
    const TemplateDefinition& other = *state.templates.at(found.front()->template_ref);
    pairs.push_back({own, other, fields_between(own, binding, other, *found.front())});
  }
  return pairs;
}

std::optional<std::string> ambiguity(const State& state, const ApiBinding& part) {
  const ApiDefinition& api = *state.apis.at(part.api);
  std::set<std::string_view> used;
  const Serving serving(state, part);
  for (const TemplateBinding& own : api.spec.bindings) {
    const auto found = serving.of(own);
    for (const TemplateBinding* binding : found) {
      if (used.insert(binding->template_ref).second) continue;
      return "template " + quoted(state.templates.at(binding->template_ref)->identity.id) +
             " would serve more than one " +
             template_word(state.templates.at(own.template_ref)->meaning.kind) + " of api " +
             quoted(api.identity.id) +
             ": bind the others themselves, or make them apis of their own";
    }
    if (found.size() <= 1) continue;
    return "api " + quoted(api.identity.id) + " has template " +
           quoted(state.templates.at(own.template_ref)->identity.id) +
           ", and more than one of its kind could serve it: bind exactly one, or itself";
  }
  for (const TemplateBinding& binding : part.bindings) {
    if (used.contains(binding.template_ref)) continue;
    const TemplateDefinition& idle = *state.templates.at(binding.template_ref);
    return "template " + quoted(idle.identity.id) + " serves nothing of api " +
           quoted(api.identity.id) + ": it has no " + template_word(idle.meaning.kind) +
           " that is not bound itself";
  }
  return std::nullopt;
}

std::optional<std::string> objection_to(const Served& pair) {
  auto form = postgres::read_template(pair.other.spec.query);
  if (!form) return pair.named() + ", is no template: " + form.error().reason;
  if (const char* const why = postgres::what_hangs_on_clients(*form)) {
    return pair.named() + ", may mean another thing to some clients: " + why;
  }
  const auto& fields = pair.fields;
  for (const std::string& field : form->fields) {
    if (std::ranges::find(fields, field, &Rendering::Fields::value_type::first) != fields.end()) {
      continue;
    }
    return "template " + quoted(pair.own.identity.id) + " has nothing for the field " +
           quoted(field) + " of " + quoted(pair.other.identity.id) + ", which serves it";
  }
  for (const FieldSpec& field : pair.own.meaning.fields) {
    if (std::ranges::find(fields, field.name, &Rendering::Fields::value_type::second) !=
        fields.end()) {
      continue;
    }
    return pair.named() + ", has no use for the field " + quoted(field.name) +
           ": a parameter that stands for it would have neither a use nor a type on new";
  }
  return std::nullopt;
}

// Copies are written anew, whatever they do: new alone has them.
bool copies_writes(const Migration& migration) {
  const StrategySpec strategy = foreseen(migration.spec.strategy);
  return std::holds_alternative<ShadowTrafficSpec>(strategy) && !write_mode_of(strategy);
}

// As new gets the statement of the api's own template.
Result<std::string> rendered(const Served& pair, const postgres::Template& own) {
  auto other = postgres::read_template(pair.other.spec.query);
  const auto rendering = other ? Rendering::between(own, *other, pair.fields) : std::nullopt;
  postgres::NormalSql normal;
  if (!rendering || !postgres::normalise(own.sql, normal)) {
    return Error{Errc::BadInput, "", pair.named() + ", can not be rendered"};
  }
  std::string sql;
  rendering->append(normal.values, sql);
  return sql;
}

// In what two shapes differ.
std::string difference(const SqlShape& before, const SqlShape& after) {
  const auto count = [](std::size_t number, const char* what) {
    return std::to_string(number) + " " + what + "(s)";
  };
  if (before.parameters.size() != after.parameters.size()) {
    return "takes " + count(after.parameters.size(), "parameter") + ", and not " +
           std::to_string(before.parameters.size());
  }
  for (std::size_t i = 0; i < before.parameters.size(); ++i) {
    if (before.parameters[i] == after.parameters[i]) continue;
    return "takes $" + std::to_string(i + 1) + " as " + after.parameters[i] + ", and not as " +
           before.parameters[i];
  }
  if (before.columns.size() != after.columns.size()) {
    return "has " + count(after.columns.size(), "column") + ", and not " +
           std::to_string(before.columns.size());
  }
  for (std::size_t i = 0; i < before.columns.size(); ++i) {
    const auto& [name, type] = before.columns[i];
    const auto& [new_name, new_type] = after.columns[i];
    if (name != new_name) return "names column " + quoted(name) + " " + quoted(new_name);
    if (type != new_type) return "has column " + quoted(name) + " as " + new_type + ", not " + type;
  }
  return "";
}

std::vector<Served> served_at(const State& state, const Migration& migration,
                              const std::string& endpoint) {
  std::vector<Served> all;
  for (const ApiBinding& part : migration.apis) {
    if (endpoint_of(state, state.apis.at(part.api)->spec) != endpoint) continue;
    for (Served& pair : served(state, part)) all.push_back(std::move(pair));
  }
  return all;
}

}  // namespace

std::optional<std::string> rendered_sql_objection(const State& state, const Migration& migration,
                                                  const ApiBinding& part) {
  if (auto objection = ambiguity(state, part)) return objection;
  for (const Served& pair : served(state, part)) {
    if (pair.own.meaning.kind == Kind::Write && !copies_writes(migration)) {
      return pair.named() +
             ", is a Write: under this strategy what is written goes as it is, to both sides or to "
             "old. Bind the api's own, or leave it out";
    }
    if (auto objection = objection_to(pair)) return objection;
  }
  return std::nullopt;
}

std::optional<Check> check_rendered_sql(const State& state, const Migration& migration,
                                        const Binding& binding, Servers& servers) {
  const InterlayDefinition& interlay = *state.interlays.at(binding.interlay);
  const Endpoint& old_endpoint = *state.endpoints.at(interlay.endpoint);
  const Endpoint& new_endpoint = *state.endpoints.at(binding.endpoint);
  const std::vector<Served> pairs = served_at(state, migration, interlay.endpoint);
  if (pairs.empty()) return std::nullopt;
  const auto told = [&](bool ok, std::string detail) {
    return Check{"rendering", interlay.identity.id, ok, std::move(detail)};
  };
  if (old_endpoint.address.username.empty() || new_endpoint.address.username.empty()) {
    return told(true,
                "not both endpoints have a username in their config, so that what the two servers "
                "say of columns and parameters is not compared");
  }
  std::vector<std::string> asked;
  std::vector<std::string> anew;
  for (const Served& pair : pairs) {
    auto own = postgres::read_template(pair.own.spec.query);
    auto sql = own ? rendered(pair, *own) : Result<std::string>(own.error());
    if (!sql) return told(false, sql.error().reason);
    asked.push_back(std::move(own->sql));
    anew.push_back(std::move(*sql));
  }
  auto before = servers.describe(old_endpoint, asked, kCheckTimeout_ms);
  if (!before) return told(false, before.error().message());
  auto after = servers.describe(new_endpoint, anew, kCheckTimeout_ms);
  if (!after) return told(false, after.error().message());
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Result<SqlShape>& of_old = (*before)[i];
    Result<SqlShape>& of_new = (*after)[i];
    if (!of_old) {
      return told(false, "old refuses template " + quoted(pairs[i].own.identity.id) + ": " +
                             of_old.error().reason);
    }
    if (!of_new)
      return told(false, "new refuses " + pairs[i].named() + ": " + of_new.error().reason);
    const std::string differs = difference(*of_old, *of_new);
    if (!differs.empty()) {
      return told(false, pairs[i].named() + ", " + differs +
                             ": clients would be told so by one of the servers, and another thing "
                             "by the other");
    }
  }
  return told(true, "new prepares the " + std::to_string(pairs.size()) +
                        " template(s) that serve others, with the same parameters and columns");
}

}  // namespace crossfade
