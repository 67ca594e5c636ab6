// Kept as what the texts mean, which a cache shares.
#include "proxy/postgres/lone_writes.h"

namespace crossfade::postgres {

void LoneWrites::add(const UnitReader& unit) {
  if (!unit.facts().writes) return;
  all_ |= !unit.facts().written_listed;
  for (const UnitReader::Facts& text : unit.texts()) {
    if (text->written.empty()) continue;
    all_ |= texts_.size() == kLoneTextsMax;
    if (all_) break;
    texts_.push_back(text);
  }
  if (all_) texts_.clear();
}

void LoneWrites::clear() {
  texts_.clear();
  all_ = false;
}

}  // namespace crossfade::postgres
