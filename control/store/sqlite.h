// SQLite as values: a connection, statements, and errors without exceptions.
//
// Only sqlite.cc includes sqlite3.h. Knows no table.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "protocols/base/result.h"

struct sqlite3;

namespace crossfade {

class Sqlite {
 public:
  using Value = std::variant<std::int64_t, std::string_view>;  // what is bound to a statement
  struct Cell {                                                // what a row holds
    std::int64_t number = 0;
    std::string text;
  };
  using Row = std::vector<Cell>;

  // Opens for reading and writing; the file must exist.
  //   errors  System
  static Result<Sqlite> open(const std::string& path);

  // Runs one statement and returns its rows.
  //   errors  Unavailable with SQLite's own words; they name no bound value
  Result<std::vector<Row>> query(const std::string& sql, std::initializer_list<Value> values = {});
  // Runs one statement or several without parameters, and drops their rows.
  Status run(const std::string& sql);
  Status run(const std::string& sql, std::initializer_list<Value> values);

 private:
  struct Closer {
    void operator()(sqlite3* connection) const noexcept;
  };
  explicit Sqlite(sqlite3* connection) : connection_(connection) {}
  Error failure(const std::string& doing) const;

  std::unique_ptr<sqlite3, Closer> connection_;
};

}  // namespace crossfade
