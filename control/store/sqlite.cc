// The only file that includes sqlite3.h.
#include "control/store/sqlite.h"

#include <sqlite3.h>

namespace crossfade {

namespace {

struct Finalizer {
  void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalizer>;

struct Bind {
  sqlite3_stmt* statement;
  int index;
  int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, index, number); }
  int operator()(std::string_view text) const {
    return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC,
                               SQLITE_UTF8);
  }
};

Sqlite::Row row_of(sqlite3_stmt* statement) {
  Sqlite::Row row;
  for (int column = 0; column < sqlite3_column_count(statement); ++column) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
    row.push_back({sqlite3_column_int64(statement, column),
                   text == nullptr ? std::string() : std::string(text, size)});
  }
  return row;
}

}  // namespace

void Sqlite::Closer::operator()(sqlite3* connection) const noexcept { sqlite3_close(connection); }

Result<Sqlite> Sqlite::open(const std::string& path) {
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &connection,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Sqlite opened(connection);  // closes it in every case; SQLite hands one out even when it failed
  if (code != SQLITE_OK) {
    return Error{Errc::System, "open state file " + path, sqlite3_errstr(code)};
  }
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, 2000);  // ms; a backup may be reading
  int keep_log = 1;  // the write-ahead log keeps its blocks, for a day when the disk has none left
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_log);
  return opened;
}

Error Sqlite::failure(const std::string& doing) const {
  return Error{Errc::Unavailable, doing, sqlite3_errmsg(connection_.get())};
}

Result<std::vector<Sqlite::Row>> Sqlite::query(const std::string& sql,
                                               std::initializer_list<Value> values) {
  sqlite3_stmt* prepared = nullptr;
  if (sqlite3_prepare_v2(connection_.get(), sql.c_str(), static_cast<int>(sql.size()), &prepared,
                         nullptr) != SQLITE_OK) {
    return failure("prepare a statement of the state file");
  }
  const Statement statement(prepared);
  int index = 1;
  for (const Value& value : values) {
    if (std::visit(Bind{statement.get(), index++}, value) != SQLITE_OK) {
      return failure("bind a value for the state file");
    }
  }
  std::vector<Row> rows;
  int code = sqlite3_step(statement.get());
  for (; code == SQLITE_ROW; code = sqlite3_step(statement.get())) {
    rows.push_back(row_of(statement.get()));
  }
  if (code != SQLITE_DONE) return failure("use the state file");
  return rows;
}

Status Sqlite::run(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failure("use the state file");
  }
  return success();
}

Status Sqlite::run(const std::string& sql, std::initializer_list<Value> values) {
  auto rows = query(sql, values);
  if (!rows) return rows.error();
  return success();
}

}  // namespace crossfade
