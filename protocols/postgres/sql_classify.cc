// Bounds first, comments next, then the cache, and the parser last.
#include "protocols/postgres/sql_classify.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "protocols/postgres/sql_comments.h"
#include "protocols/postgres/sql_forms.h"
#include "protocols/postgres/sql_judge.h"
#include "protocols/postgres/sql_numbers.h"
#include "protocols/postgres/sql_tree.h"

namespace crossfade::postgres {
namespace {

// PostgreSQL manual 24.3.1 "Supported Character Sets": those that servers cannot store.
bool hides_ascii(std::string_view encoding) {
  constexpr std::string_view kThose[] = {"BIG5", "GB18030",        "GBK", "JOHAB",
                                         "SJIS", "SHIFT_JIS_2004", "UHC"};
  return std::ranges::find(kThose, encoding) != std::end(kThose);
}

bool is_plain(std::string_view sql) {
  return std::ranges::all_of(
      sql, [](char c) { return static_cast<unsigned char>(c) < 0x80 && c != '\\'; });
}

// The text to look up and parse; nullopt when it must not be parsed.
std::optional<std::string_view> clean(std::string_view sql, SqlReading reading,
                                      std::string& scratch) {
  if (reading == SqlReading::Foreign && !is_plain(sql)) return std::nullopt;
  if (sql.find('\0') != std::string_view::npos) return std::nullopt;
  if (without_comments(sql, scratch) != SqlLexis::Plain) return std::nullopt;
  return scratch;
}

std::optional<SqlFacts> parse_facts(const std::string& sql, const SqlCatalog& catalog) {
  SqlJudge judge(catalog);
  if (read_sql(sql.c_str(), judge) == SqlRead::Broken) return std::nullopt;
  return judge.take();
}

std::uint64_t next_version() {
  thread_local std::uint64_t last = 0;  // a classifier, and who asks it, belong to one loop
  return ++last;
}

}  // namespace

SqlReading reading_of(std::string_view standard_conforming_strings,
                      std::string_view client_encoding) {
  const bool standard = standard_conforming_strings != "off" && !hides_ascii(client_encoding);
  return standard ? SqlReading::Standard : SqlReading::Foreign;
}

SqlFacts classify(std::string_view sql, const SqlCatalog& catalog, SqlReading reading,
                  std::size_t parse_max, std::string& scratch) {
  if (sql.size() > parse_max || !clean(sql, reading, scratch)) return unknown_sql();
  return parse_facts(scratch, catalog).value_or(unknown_sql());
}

SqlClassifier::SqlClassifier(std::shared_ptr<const SqlCatalog> catalog, SqlLimits limits,
                             Forms forms)
    : catalog_(std::move(catalog)),
      version_(next_version()),
      limits_(limits),
      forms_(forms),
      cache_(limits.sql_cache_max),
      unknown_(std::make_shared<const SqlFacts>(unknown_sql())) {}

void SqlClassifier::adopt(std::shared_ptr<const SqlCatalog> catalog) {
  catalog_ = std::move(catalog);
  version_ = next_version();
  cache_.clear();
}

// By its very bytes first, as most texts come again and again; then by what it has in common with
// others.
const std::shared_ptr<const SqlFacts>& SqlClassifier::facts_of(std::string_view sql,
                                                               SqlReading reading) {
  if (sql.size() > limits_.sql_parse_max) {
    ++counts_.too_long;
    return unknown_;
  }
  if (is_no_text(sql)) {  // a syntax error, and perhaps the key of another text
    ++counts_.unclear;
    return unknown_;
  }
  // What is in the cache was read in the standard way.
  const bool exact = reading == SqlReading::Standard;
  if (exact) {
    if (const auto* const known = cache_.find(sql)) {
      ++counts_.hits;
      return *known;
    }
  }
  const bool as_it_is = exact && has_no_comment(sql);
  const bool alike = as_it_is && with_numbers_equal(sql, key_);
  if (alike) {
    if (const auto* const known = cache_.find(key_)) return found(sql, *known);
  }
  if (!clean(sql, reading, scratch_)) {
    ++counts_.unclear;
    return unknown_;
  }
  if (alike) return parse_alike(sql);
  if (!as_it_is) {
    if (const auto* const known = cache_.find(scratch_)) {
      if (exact) return found(sql, *known);
      ++counts_.hits;
      return *known;
    }
  }
  parse();
  cache_.put(scratch_, last_);
  if (exact && sql != scratch_) cache_.put_again(sql, last_);
  return last_;
}

// Not by its very bytes, by which it is found the next time but one.
const std::shared_ptr<const SqlFacts>& SqlClassifier::found(
    std::string_view sql, const std::shared_ptr<const SqlFacts>& known) {
  ++counts_.hits;
  last_ = known;
  cache_.put_again(sql, last_);
  return last_;
}

// Steps keep pieces of their text: such facts are those of one text only.
const std::shared_ptr<const SqlFacts>& SqlClassifier::parse_alike(std::string_view sql) {
  parse();
  if (last_->steps.empty()) cache_.put(key_, last_);
  cache_.put_again(sql, last_);
  return last_;
}

void SqlClassifier::parse() {
  ++counts_.parsed;
  auto facts = parse_facts(scratch_, *catalog_);
  if (!facts) ++counts_.broken;
  if (facts && forms_ == Forms::Read) facts->forms = forms_of(scratch_, *facts);
  last_ = facts ? std::make_shared<const SqlFacts>(*std::move(facts)) : unknown_;
}

}  // namespace crossfade::postgres
