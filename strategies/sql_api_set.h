// Which statements of an endpoint of PostgreSQL belong to an api that moves: as ApiSet, by texts.
//
// Only the text counts: a template that says a value is not met by a parameter, whatever is passed
// for it. What new serves by other templates is written anew there, wherever it stands: new never
// gets such a statement in another form. Immutable; shared by all loops.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/rendering.h"
#include "protocols/postgres/sql_normal.h"
#include "protocols/postgres/template_set.h"
#include "protocols/postgres/unit_facts.h"
#include "strategies/api_set.h"

namespace crossfade {

class SqlApiSet {
 public:
  using Entry = ApiSet::Entry;
  //   entries  one that can not be written anew as it says (Rendering::between()) does not move
  //   cost     some tens of microseconds for each
  explicit SqlApiSet(std::vector<Entry> entries);

  // Memory that is used again; of one loop.
  struct Scratch {
    std::string bare;  // a text without comments
    postgres::NormalSql normal;
    bool anew = false;  // moves() has met a statement that new gets in another form
    std::optional<std::uint32_t> api = {};  // of the first that it has met which is of one
  };
  // True when there is a statement in these texts, and each one belongs to an api that moves, but
  // for those that begin and end transactions.
  //   texts   whose facts have forms
  //   cost    a look-up for each statement; 1 to 2 ns per byte of a text of whose form there are
  //           templates that ask for certain values; no allocation once `scratch` has room
  bool moves(const postgres::SaidTexts& texts, Scratch& scratch) const;

  // True when some statements are written anew.
  bool renders() const { return !renderings_.empty(); }
  // Writes to `out` the text that new gets in place of this one: each statement in the form that it
  // has there, without comments. False: it gets this one.
  //   said   whose facts have forms
  //   cost   a look-up for each statement where none is written anew; else 1 to 2 ns per byte; no
  //          allocation once `scratch` and `out` have room
  bool render(const postgres::SaidText& said, Scratch& scratch, std::string& out) const;

  const std::vector<Entry>& entries() const { return entries_; }
  const ApiNames& names() const { return names_; }

 private:
  // What one text says.
  enum class Said : std::uint8_t { Nothing, Moves, Stays };
  Said said_by(const postgres::SaidText& text, Scratch& scratch) const;
  Said said_by_values(const postgres::SaidText& text, Scratch& scratch) const;
  bool moves(std::optional<std::uint32_t> entry, Scratch& scratch) const;
  std::optional<std::uint32_t> match(postgres::FormMark mark, const Scratch& scratch) const;
  const postgres::Rendering* rendering(std::optional<std::uint32_t> entry) const;

  std::vector<Entry> entries_;
  ApiNames names_;
  postgres::TemplateSet templates_;  // by the same numbers
  // By the same numbers, where any are written anew; else empty.
  std::vector<std::optional<postgres::Rendering>> renderings_;
};

}  // namespace crossfade
