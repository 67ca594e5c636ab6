// Which statements of an endpoint of PostgreSQL belong to an api that moves: as ApiSet, by texts.
//
// Only the text counts: a template that says a value is not met by a parameter, whatever is passed
// for it. Immutable; shared by all loops.
#pragma once

#include <string>
#include <vector>

#include "protocols/postgres/sql_normal.h"
#include "protocols/postgres/template_set.h"
#include "protocols/postgres/unit_facts.h"
#include "strategies/api_set.h"

namespace crossfade {

class SqlApiSet {
 public:
  using Entry = ApiSet::Entry;
  //   cost  some tens of microseconds for each entry
  explicit SqlApiSet(std::vector<Entry> entries);

  // Memory that is used again; of one loop.
  struct Scratch {
    std::string bare;  // a text without comments
    postgres::NormalSql normal;
  };
  // True when there is a statement in these texts, and each one belongs to an api that moves, but
  // for those that begin and end transactions.
  //   texts   whose facts have forms
  //   cost    a look-up for each statement; 1 to 2 ns per byte of a text of whose form there are
  //           templates that ask for certain values; no allocation once `scratch` has room
  bool moves(const postgres::SaidTexts& texts, Scratch& scratch) const;

  const std::vector<Entry>& entries() const { return entries_; }

 private:
  // What one text says.
  enum class Said : std::uint8_t { Nothing, Moves, Stays };
  Said said_by(const postgres::SaidText& text, Scratch& scratch) const;
  Said said_by_values(const postgres::SaidText& text, Scratch& scratch) const;

  std::vector<Entry> entries_;
  postgres::TemplateSet templates_;  // by the same numbers
};

}  // namespace crossfade
