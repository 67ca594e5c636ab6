// Words on names, from JSON and to the catalog.
#include "control/definitions/sql_names.h"

#include <algorithm>
#include <optional>

#include "control/json/fields.h"

namespace crossfade {

namespace {

constexpr std::size_t kNameMax = 127;    // bytes: schema, dot and name
constexpr std::size_t kNamesMax = 1000;  // of each sort

constexpr SqlAct kActs[] = {SqlAct::Read, SqlAct::VolatileRead, SqlAct::Write};

const char* name_of(SqlAct act) {
  switch (act) {
    case SqlAct::Read:
      return "read";
    case SqlAct::VolatileRead:
      return "volatile_read";
    case SqlAct::Write:
      return "write";
  }
  return "write";
}

postgres::SqlClass class_of(SqlAct act) {
  switch (act) {
    case SqlAct::Read:
      return postgres::SqlClass::PureRead;
    case SqlAct::VolatileRead:
      return postgres::SqlClass::VolatileRead;
    case SqlAct::Write:
      return postgres::SqlClass::Write;
  }
  return postgres::SqlClass::Write;
}

// One dot at most, with something on each side, and no arguments.
bool is_name(const std::string& name) {
  const std::size_t dot = name.find('.');
  return !name.empty() && name.size() <= kNameMax && name.front() != '.' && name.back() != '.' &&
         (dot == name.npos || name.find('.', dot + 1) == name.npos) &&
         name.find_first_of("()\"\n") == name.npos;
}

std::optional<SqlAct> act_named(const Json& json) {
  const std::string* word = json.string();
  if (word == nullptr) return std::nullopt;
  for (const SqlAct act : kActs) {
    if (*word == name_of(act)) return act;
  }
  return std::nullopt;
}

void read_acts(Fields& fields, const char* member, SqlNames::Acts& acts) {
  const Json* json = fields.optional(member);
  if (json == nullptr) return;
  if (json->is_null()) return acts.clear();
  if (json->members() == nullptr) return fields.complain(member, "must be an object");
  for (const auto& [name, value] : *json->members()) {
    const std::string place = join_path(fields.path_of(member), name.substr(0, kNameMax));
    if (value.is_null()) {
      acts.erase(name);
    } else if (!is_name(name)) {
      return fields.take(error_at(place, "must be name or schema.name, without arguments"));
    } else if (const auto act = act_named(value)) {
      acts[name] = *act;
    } else {
      return fields.take(error_at(place, "must be read, volatile_read or write"));
    }
  }
  if (acts.size() > kNamesMax) fields.complain(member, "has more than 1000 names");
}

Json render(const SqlNames::Acts& acts) {
  Json json = Json::object({});
  for (const auto& [name, act] : acts) json.set(name, name_of(act));
  return json;
}

void declare(postgres::SqlDeclared::What what, const SqlNames::Acts& acts,
             std::vector<postgres::SqlDeclared>& into) {
  for (const auto& [name, act] : acts) {
    const std::size_t dot = name.find('.');
    const bool bare = dot == name.npos;
    into.push_back({.what = what,
                    .schema = bare ? std::string() : name.substr(0, dot),
                    .name = bare ? name : name.substr(dot + 1),
                    .acts = class_of(act)});
  }
}

}  // namespace

Result<SqlNames> read_sql_names(const Json& json, const std::string& path, SqlNames names) {
  if (json.is_null()) return SqlNames{};
  Fields fields(json, path);
  read_acts(fields, "functions", names.functions);
  read_acts(fields, "relations", names.relations);
  if (auto error = fields.finish()) return *error;
  return names;
}

Json render(const SqlNames& names) {
  return Json::object(
      {{"functions", render(names.functions)}, {"relations", render(names.relations)}});
}

std::vector<postgres::SqlDeclared> declared_by(const SqlNames& names) {
  std::vector<postgres::SqlDeclared> all;
  declare(postgres::SqlDeclared::What::Function, names.functions, all);
  declare(postgres::SqlDeclared::What::Relation, names.relations, all);
  return all;
}

}  // namespace crossfade
