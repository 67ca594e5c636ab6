// Whether facts hang on what has changed.
#include "protocols/postgres/redefined.h"

#include <algorithm>

namespace crossfade::postgres {

void Redefined::add(const SqlFacts& facts) {
  if (facts.redefines == Redefines::Nothing) return;
  others |= facts.redefines == Redefines::Others;
  for (const TableName& table : facts.written) {
    if (tables.size() <= kRedefinedMax) tables.insert(table.name);
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
  return std::ranges::any_of(facts.read, is_one) || std::ranges::any_of(facts.written, is_one);
}

}  // namespace crossfade::postgres
