// Templates that were read before they came here.
#pragma once

#include <cassert>
#include <string>
#include <utility>

#include "protocols/postgres/template.h"
#include "protocols/redis/template.h"

namespace crossfade {

// Of a query that is known to be a template.
inline redis::Template known_template(const std::string& query) {
  auto read = redis::read_template(query);
  assert(read);
  return std::move(*read);
}

// Likewise of SQL.
inline postgres::Template known_sql_template(const std::string& query) {
  auto read = postgres::read_template(query);
  assert(read);
  return std::move(*read);
}

}  // namespace crossfade
