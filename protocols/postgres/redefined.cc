// Whether facts hang on what has changed.
#include "protocols/postgres/redefined.h"

#include <algorithm>

namespace crossfade::postgres {

void Redefined::add(const SqlFacts& facts) {
  if (facts.redefines == Redefines::Nothing) return;
  others |= facts.redefines == Redefines::Others;
  for (std::size_t i = 0; i < facts.written.size(); ++i) {
    const bool defined = (facts.defined >> i & 1u) != 0;
    if (defined && tables.size() <= kRedefinedMax) tables.insert(facts.written[i].name);
  }
}

void Redefined::add(const Redefined& more) {
  others |= more.others;
  for (const std::string& table : more.tables) {
    if (tables.size() <= kRedefinedMax) tables.insert(table);
  }
}

bool Redefined::touches(const SqlFacts& facts) const {
  if (others && facts.leans) return true;
  const auto is_one = [&](const TableName& table) {
    return tables.size() > kRedefinedMax || tables.contains(table.name);
  };
  if (std::ranges::any_of(facts.read, is_one)) return true;
  for (std::size_t i = 0; i < facts.written.size(); ++i) {
    const bool only_defined = ((facts.defined & ~facts.changed) >> i & 1u) != 0;
    if (!only_defined && is_one(facts.written[i])) return true;
  }
  return false;
}

}  // namespace crossfade::postgres
