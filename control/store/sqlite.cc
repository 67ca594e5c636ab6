// The only file that includes sqlite3.h.
#include "control/store/sqlite.h"

#include <sqlite3.h>

namespace crossfade {

namespace {

// Makes a statement ready for its next use, and lets go of what is bound to it.
struct Resetter {
  void operator()(sqlite3_stmt* statement) const noexcept {
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
  }
};
using Use = std::unique_ptr<sqlite3_stmt, Resetter>;

struct Bind {
  sqlite3_stmt* statement;
  int index;
  int operator()(std::int64_t number) const { return sqlite3_bind_int64(statement, index, number); }
  int operator()(std::string_view text) const {
    return sqlite3_bind_text64(statement, index, text.data(), text.size(), SQLITE_STATIC,
                               SQLITE_UTF8);
  }
  int operator()(Sqlite::Blob blob) const {
    // Without a pointer it would be NULL instead of empty.
    const char* bytes = blob.bytes.empty() ? "" : blob.bytes.data();
    return sqlite3_bind_blob64(statement, index, bytes, blob.bytes.size(), SQLITE_STATIC);
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
void Sqlite::Finalizer::operator()(sqlite3_stmt* statement) const noexcept {
  sqlite3_finalize(statement);
}

Result<Sqlite> Sqlite::open(const std::string& path, const char* word) {
  sqlite3* connection = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &connection,
                                   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  Sqlite opened(connection,
                word);  // closes it in every case; SQLite hands one out even when it failed
  if (code != SQLITE_OK) {
    return Error{Errc::System, std::string("open ") + word + " " + path, sqlite3_errstr(code)};
  }
  sqlite3_extended_result_codes(connection, 1);
  sqlite3_busy_timeout(connection, 2000);  // ms; a backup may be reading
  int keep_log = 1;  // the write-ahead log keeps its blocks, for a day when the disk has none left
  sqlite3_file_control(connection, "main", SQLITE_FCNTL_PERSIST_WAL, &keep_log);
  return opened;
}

Error Sqlite::failure(const char* doing) const {
  return Error{Errc::Unavailable, std::string(doing) + " the " + word_,
               sqlite3_errmsg(connection_.get())};
}

Result<sqlite3_stmt*> Sqlite::prepared(const std::string& sql) {
  if (const auto known = statements_.find(sql); known != statements_.end()) {
    return known->second.get();
  }
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v3(connection_.get(), sql.c_str(), static_cast<int>(sql.size()),
                         SQLITE_PREPARE_PERSISTENT, &statement, nullptr) != SQLITE_OK) {
    return failure("prepare a statement of");
  }
  statements_[sql].reset(statement);
  return statement;
}

Result<std::vector<Sqlite::Row>> Sqlite::query(const std::string& sql,
                                               std::initializer_list<Value> values) {
  const auto statement = prepared(sql);
  if (!statement) return statement.error();
  const Use use(statement.value());
  int index = 1;
  for (const Value& value : values) {
    if (std::visit(Bind{use.get(), index++}, value) != SQLITE_OK) {
      return failure("bind a value for");
    }
  }
  std::vector<Row> rows;
  int code = sqlite3_step(use.get());
  for (; code == SQLITE_ROW; code = sqlite3_step(use.get())) {
    rows.push_back(row_of(use.get()));
  }
  if (code != SQLITE_DONE) return failure("use");
  return rows;
}

Status Sqlite::run(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return failure("use");
  }
  return success();
}

Status Sqlite::run(const std::string& sql, std::initializer_list<Value> values) {
  auto rows = query(sql, values);
  if (!rows) return rows.error();
  return success();
}

// What the log had no room for is not whole in it. But its sync comes behind its last byte.
bool Sqlite::may_be_written() const {
  const int code = sqlite3_extended_errcode(connection_.get());
  return code != SQLITE_FULL && code != SQLITE_IOERR_WRITE && (code & 0xff) != SQLITE_BUSY;
}

}  // namespace crossfade
