// The parser called, its memory given back, and its statements handed on one by one.
#include "protocols/postgres/sql_tree.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "protocols/postgres/sql_tree_rows.h"
#include "protocols/postgres/sql_tree_statement.h"

extern "C" {
#include <pg_query.h>
#include <pg_query/pg_query_internal.h>
}

namespace crossfade::postgres {
namespace {

// The parser's memory, given back at the end of the block.
class ParserMemory {
 public:
  ParserMemory() : context_(pg_query_enter_memory_context()) {}
  ~ParserMemory() { pg_query_exit_memory_context(context_); }
  ParserMemory(const ParserMemory&) = delete;
  ParserMemory& operator=(const ParserMemory&) = delete;

 private:
  MemoryContext context_;
};

std::string_view statement_text(std::string_view sql, const RawStmt& raw) {
  const auto from = static_cast<std::size_t>(raw.stmt_location);
  const auto size =
      raw.stmt_len > 0 ? static_cast<std::size_t>(raw.stmt_len) : std::string_view::npos;
  const std::string_view text = sql.substr(std::min(from, sql.size()), size);
  const std::size_t blanks = text.find_first_not_of(" \t\r\n\f");
  return text.substr(std::min(blanks, text.size()));
}

// Calls look(raw statement) for each.
template <class Look>
SqlRead each_statement(const char* sql, Look look) {
  const ParserMemory memory;
  const PgQueryInternalParsetreeAndError parsed = pg_query_raw_parse(sql);
  std::free(parsed.stderr_buffer);
  if (parsed.error != nullptr) {
    pg_query_free_error(parsed.error);
    return SqlRead::Broken;
  }
  sql_tree::each(parsed.tree, [&](Node* node) { look(sql_tree::as<RawStmt>(node)); });
  return SqlRead::Whole;
}

}  // namespace

SqlRead read_sql(const char* sql, SqlJudge& judge) {
  sql_tree::Statement statement(judge);
  const std::string_view text(sql);
  return each_statement(sql, [&](const RawStmt& raw) {
    judge.begin_statement(statement_text(text, raw));
    statement.read(raw.stmt);
    judge.end_statement();
  });
}

SqlRead read_rows(const char* sql, const SqlCatalog& catalog, std::vector<ToldRows>& found) {
  return each_statement(sql, [&](const RawStmt& raw) {
    ToldRows rows;
    if (sql_tree::Rows(catalog, rows).read(raw.stmt)) found.push_back(std::move(rows));
  });
}

}  // namespace crossfade::postgres
