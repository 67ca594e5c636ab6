// A statement of one template written anew as one of another, with what stands for its fields.
//
// A literal is taken over as it was written, a parameter by its number: what a Bind passes is right
// for both.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocols/postgres/sql_normal.h"
#include "protocols/postgres/template.h"

namespace crossfade::postgres {

class Rendering {
 public:
  // Which field of the former template each of the new one's is.
  using Fields = std::vector<std::pair<std::string, std::string>>;
  // Nothing: one of the new template's fields has no value, or one of the former's is not used: a
  // parameter in its place would have neither a use nor a type.
  static std::optional<Rendering> between(const Template& from, const Template& to,
                                          const Fields& fields);

  // Appends the statement, without a semicolon.
  //   values  of a statement that matches the former template, in its order
  //   cost    no allocation once `out` has room
  void append(const std::vector<SqlValue>& values, std::string& out) const;

 private:
  struct Piece {
    std::string text;                  // before a value, or behind the last
    std::optional<std::size_t> value;  // among those of the former template
    bool binds_tighter = false;        // what is behind it than a sign before it
  };
  std::vector<Piece> pieces_;
};

// Why a text does not mean the same to every client of its server; nullptr: it does.
const char* what_hangs_on_clients(const Template& form);

}  // namespace crossfade::postgres
