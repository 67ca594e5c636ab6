// SQLite as values: a connection, statements, and errors without exceptions.
//
// Only sqlite.cc includes sqlite3.h. Knows no table.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "protocols/base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace crossfade {

class Sqlite {
 public:
  struct Blob {
    std::string_view bytes;
  };
  // What is bound to a statement: SQLite's integers have a sign.
  using Value = std::variant<std::int64_t, std::string_view, Blob>;
  static std::int64_t as_number(std::uint64_t value) { return static_cast<std::int64_t>(value); }
  struct Cell {  // what a row holds
    std::int64_t number = 0;
    std::string text;
  };
  using Row = std::vector<Cell>;

  // Opens for reading and writing; the file must exist.
  //   word    what messages call it: "state file"; static
  //   errors  System
  static Result<Sqlite> open(const std::string& path, const char* word);

  // Runs one statement and returns its rows. It is kept prepared for the next time, so `sql` is one
  // of a few fixed texts.
  //   errors  Unavailable with SQLite's own words; they name no bound value
  Result<std::vector<Row>> query(const std::string& sql, std::initializer_list<Value> values = {});
  // Runs one statement or several without parameters, and drops their rows.
  Status run(const std::string& sql);
  Status run(const std::string& sql, std::initializer_list<Value> values);

  // Asked when a COMMIT has failed, before anything else: whether all of it may have been written,
  // so that who opens the file next has it, though this connection has not.
  bool may_be_written() const;

 private:
  struct Closer {
    void operator()(sqlite3* connection) const noexcept;
  };
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const noexcept;
  };
  Sqlite(sqlite3* connection, const char* word) : connection_(connection), word_(word) {}
  Error failure(const char* doing) const;
  Result<sqlite3_stmt*> prepared(const std::string& sql);

  std::unique_ptr<sqlite3, Closer> connection_;
  const char* word_;
  // Ends before the connection does.
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Finalizer>> statements_;
};

}  // namespace crossfade
