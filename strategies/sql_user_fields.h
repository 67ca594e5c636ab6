// Who the user of a unit of PostgreSQL is, where a field of the templates of an endpoint's apis
// says it: as UserFields, of statements.
//
// A field stands for a literal, or for a parameter, whose value a Bind passes. A value that comes
// in binary is told by the words that it would have as text. Immutable; shared by all loops.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/sql_normal.h"
#include "protocols/postgres/template_set.h"
#include "protocols/postgres/told_types.h"
#include "protocols/postgres/unit_facts.h"

namespace crossfade {

class SqlUserFields {
 public:
  //   queries  of templates, as they are defined and in the order in which they are asked
  //   cost     some tens of microseconds for each
  SqlUserFields(std::string name, std::vector<std::string> queries);

  // Memory that is used again; of one loop.
  struct Scratch {
    std::string bare;  // a text without comments
    postgres::NormalSql normal;
    std::vector<postgres::ParameterAt> parameters;  // that stand for the field, by text
    std::string user;
    std::string other;
  };

  // The value of the field, as all statements have it that have one; nullopt: none has, not all
  // have the same, or one's is not known. A view of `scratch`.
  //   said      of a unit; texts whose facts have forms
  //   told      types of parameters of which a Parse does not declare one
  //   database  a hash of where these are told of
  //   cost      a look-up for each statement; 1 to 2 ns per byte of a text of whose form there are
  //             templates with the field; no allocation once `scratch` has room
  std::optional<std::string_view> user_of(const postgres::Said& said,
                                          const postgres::ToldTypes& told, std::uint64_t database,
                                          Scratch& scratch) const;

  // The parameter of a Parse's text that stands for the field, where its type is not declared;
  // nullopt: there is none.
  std::optional<postgres::ParameterAt> undeclared(const postgres::SaidText& text,
                                                  std::uint64_t database, Scratch& scratch) const;

  const std::string& name() const { return name_; }
  const std::vector<std::string>& queries() const { return queries_; }

 private:
  bool may_say(postgres::FormMark mark) const;
  template <class Look>
  bool each_value(const postgres::SaidText& text, std::uint64_t database, Scratch& scratch,
                  Look look) const;

  std::string name_;
  std::vector<std::string> queries_;
  postgres::TemplateSet templates_;  // by the same numbers
  // Which value of a statement is the field's, by the same numbers; nullopt: they do not have it.
  std::vector<std::optional<std::size_t>> places_;
};

}  // namespace crossfade
