// An operator's own words on names in SQL: what a function or relation does where the server says
// less, or too much.
//
//   {"functions": {"app.total": "read"}, "relations": {"report": "volatile_read"}}
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "control/json/value.h"
#include "protocols/base/result.h"
#include "protocols/postgres/sql_catalog_learn.h"

namespace crossfade {

enum class SqlAct : std::uint8_t {
  Read,          // changes nothing, and equal servers answer alike
  VolatileRead,  // changes nothing; the answer hangs on clock, chance, or the server
  Write
};

struct SqlNames {
  // By name as statements write it: "schema.name", or "name" where they write no schema.
  using Acts = std::map<std::string, SqlAct>;
  Acts functions;
  Acts relations;

  bool empty() const { return functions.empty() && relations.empty(); }
  bool operator==(const SqlNames&) const = default;
};

// Reads an object on top of `names`, name by name; null for a name takes the word on it back, null
// for all of it takes all back.
//   errors  BadInput: "sql.functions.f(int): must be name or schema.name"
Result<SqlNames> read_sql_names(const Json& json, const std::string& path, SqlNames names);

Json render(const SqlNames& names);

// As the catalog takes it.
std::vector<postgres::SqlDeclared> declared_by(const SqlNames& names);

}  // namespace crossfade
