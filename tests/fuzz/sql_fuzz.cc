// SQL: any text has facts; comments change none of them; and the cache answers as the parser does.
#include <cstring>
#include <optional>
#include <string>

#include "protocols/postgres/row_names.h"
#include "protocols/postgres/sql_classify.h"
#include "protocols/postgres/sql_comments.h"
#include "protocols/postgres/sql_tree.h"
#include "protocols/postgres/sql_values.h"
#include "tests/fuzz/fuzz.h"

namespace crossfade::postgres {
namespace {

using fuzz::require;

constexpr auto kStandard = SqlReading::Standard;

bool same(const SqlFacts& left, const SqlFacts& right) {
  return left.strongest == right.strongest && left.writes == right.writes &&
         left.deterministic == right.deterministic && left.sided == right.sided &&
         left.sorted == right.sorted && left.returning == right.returning &&
         left.writes_listed == right.writes_listed && left.statements == right.statements &&
         left.pins == right.pins && left.locks == right.locks && left.read == right.read &&
         left.written == right.written && left.steps.size() == right.steps.size();
}

SqlFacts fresh(std::string_view sql) {
  std::string scratch;
  return classify(sql, *SqlCatalog::built_in(), kStandard, sql.size(), scratch);
}

// What the parser makes of the text with its comments in it; nullopt where it makes nothing of
// them: libpg_query does not see that 'a' -- b 'c' is one string.
std::optional<SqlFacts> with_comments(const std::string& sql) {
  SqlJudge judge(*SqlCatalog::built_in());
  if (read_sql(sql.c_str(), judge) == SqlRead::Broken) return std::nullopt;
  if (strcasestr(sql.c_str(), "pg_temp") != nullptr) return std::nullopt;
  return judge.take();
}

void check_comments(const std::string& sql) {
  const SqlFacts facts = fresh(sql);
  const auto direct = with_comments(sql);
  require(!direct || same(*direct, facts), "comments taken out change nothing");
  require(same(fresh("/* 'a */" + sql + "\n--\"b"), facts), "comments put in change nothing");
  std::string once;
  std::string twice;
  (void)without_comments(sql, once);
  require(without_comments(once, twice) == SqlLexis::Plain, "text without comments is plain");
  require(once == twice, "comments are taken out at once");
}

void check_cache(std::string_view sql) {
  static SqlClassifier classifier(SqlCatalog::built_in(), {.sql_cache_max = 64 << 10});
  const SqlFacts expected = fresh(sql);
  const auto first = classifier.facts_of(sql, kStandard);
  require(same(*first, expected), "what is parsed is what the cache was given");
  require(same(*classifier.facts_of(sql, kStandard), expected),
          "what is cached is what was parsed");
  require(classifier.cache_bytes() <= 64 << 10, "the cache keeps its limit");
}

// Outside of quoted names no literal is left, and what is hidden looks like nothing that is.
void check_values(std::string_view sql) {
  const std::string shown = without_values(sql, SIZE_MAX);
  bool quoted = false;
  for (const char c : shown) {
    if (c == '"') quoted = !quoted;
    require(quoted || c != '\'', "no literal is shown");
  }
  require(without_values(shown, SIZE_MAX) == shown, "values are hidden at once");
  require(without_values(sql, 16).size() <= 16, "what is shown keeps its limit");
}

void check_rows(std::string_view sql) {
  for (const ToldRows& told : rows_told_by(sql, *SqlCatalog::built_in())) {
    require(told.rows.size() <= kRowsMax + 1, "rows keep their limit");
    for (const ToldRow& row : told.rows) require(!row.empty(), "a row is told by something");
  }
}

void check(std::string_view sql) {
  check_values(sql);
  check_rows(sql);
  const SqlFacts facts = fresh(sql);
  require(facts.strongest < SqlClass::Write || facts.writes, "what is no read writes");
  require(!facts.only_reads() || (facts.written.empty() && facts.locks.empty()),
          "what only reads writes nothing");
  check_cache(sql);
  std::string scratch;
  const bool whole = sql.find('\0') == std::string_view::npos;
  if (whole && without_comments(sql, scratch) == SqlLexis::Plain) check_comments(std::string(sql));
}

}  // namespace
}  // namespace crossfade::postgres

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  crossfade::postgres::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
