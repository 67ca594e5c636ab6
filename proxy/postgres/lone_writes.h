// What one server alone was given to write since the session last rested there: owed nothing, with
// no transaction open. Whoever begins dual writes before it rests again has these tables differ.
//
// Knows nothing of sides, nor of what has become of it. Keeps at most kLoneTextsMax texts' facts:
// of more any table may differ.
#pragma once

#include <cstddef>
#include <vector>

#include "protocols/postgres/unit_facts.h"

namespace crossfade::postgres {

inline constexpr std::size_t kLoneTextsMax = 64;

class LoneWrites {
 public:
  // A unit that is sent, or a part of it.
  //   cost  one look at its texts, and no allocation once there is room
  void add(const UnitReader& unit);
  // Nobody has read what it was given.
  void add_unread() { all_ = true; }
  void clear();

  bool any() const { return all_ || !texts_.empty(); }
  bool all() const { return all_; }  // any table may be among them
  // Facts that name the others.
  const std::vector<UnitReader::Facts>& texts() const { return texts_; }

 private:
  std::vector<UnitReader::Facts> texts_;
  bool all_ = false;
};

}  // namespace crossfade::postgres
