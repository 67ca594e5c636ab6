// Definitions that have been changed since anybody read the catalog that facts are of.
//
// What a statement does by that catalog is not certain any more when it names a table that is among
// them, or hangs on what users define (functions, operators, views, …) while any such has changed.
//
// Knows nothing of transactions, sessions and of who reads the catalog.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

// Tables beyond this are not told apart: any may be another.
inline constexpr std::size_t kRedefinedMax = 1'000;

struct Redefined {
  bool others = false;                        // functions, views, types, …
  std::set<std::string, std::less<>> tables;  // without their schemas

  bool any() const { return others || !tables.empty(); }
  void add(const SqlFacts& facts);
  void add(const Redefined& more);
  // Whether what these facts say may be wrong by now.
  bool touches(const SqlFacts& facts) const;
};

}  // namespace crossfade::postgres
