// The classifier: what is bounded, cached and refused; and SQL made to hurt parsers.
#include <doctest/doctest.h>
#include <pthread.h>

#include <string>
#include <vector>

#include "tests/unit/protocols/postgres/sql_samples.h"
#include "tests/unit/work.h"

namespace crossfade::postgres {
namespace {

constexpr auto kStandard = SqlReading::Standard;
constexpr std::size_t kHuge = 1 << 20;
constexpr std::size_t kSmallStack = 128 << 10;

std::string repeat(std::string_view text, std::size_t size) {
  std::string all;
  while (all.size() < size) all += text;
  return all;
}

std::string nested(std::string_view open, std::string_view core, std::string_view close,
                   std::size_t size) {
  const std::size_t times = size / (open.size() + close.size());
  return "SELECT " + repeat(open, times * open.size()) + std::string(core) +
         repeat(close, times * close.size());
}

// Every shape of SQL that grows deep, at about `size` bytes each.
std::vector<std::string> deep_sql(std::size_t size) {
  return {"SELECT 1" + repeat("+1", size),
          nested("(", "1", ")", size),
          nested("CASE WHEN ", "true", " THEN 1 END", size),
          "SELECT " + repeat("NOT ", size) + "true",
          "SELECT " + repeat("- ", size) + "1",
          nested("(SELECT ", "1", ")", size),
          nested("* FROM (SELECT ", "1", ") a", size),
          "SELECT 1 FROM t" + repeat(" CROSS JOIN t", size),
          "SELECT 1" + repeat(" UNION SELECT 1", size),
          "SELECT a" + repeat(" AND a", size),
          "SELECT a" + repeat(" OR a", size),
          nested("ARRAY[", "1", "]", size),
          "SELECT a" + repeat(".a", size),
          "SELECT a" + repeat("[1]", size),
          "SELECT a" + repeat("::a", size),
          nested("lower(", "a", ")", size),
          "SELECT 1" + repeat(",1", size),
          "INSERT INTO t VALUES (1)" + repeat(",(1)", size),
          repeat("SELECT 1;", size),
          "SELECT 1" + repeat(" /*x*/", size),
          "SELECT 1 " + repeat("/*", size) + repeat("*/", size),
          "SELECT 1 " + repeat("/*", size),
          "SELECT 1 " + repeat("+", size) + "1",
          "SELECT " + repeat("$a", size),
          "SELECT '" + repeat("''", size) + "'"};
}

struct OnStack {
  const std::vector<std::string>& texts;
  std::size_t parse_max;
};

void* classify_all(void* given) {
  const auto& job = *static_cast<const OnStack*>(given);
  std::string scratch;
  const SqlCatalog& catalog = *sample_catalog();
  for (const std::string& sql : job.texts) {
    (void)classify(sql, catalog, kStandard, job.parse_max, scratch);
  }
  return nullptr;
}

// Classifies all texts on a thread whose stack ends at a page that kills; the whole process, then.
void on_small_stack(const std::vector<std::string>& texts, std::size_t parse_max,
                    std::size_t stack_size) {
  OnStack job{texts, parse_max};
  (void)sample_catalog();  // not to be made on that stack
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, stack_size) == 0);
  pthread_t thread;
  REQUIRE(pthread_create(&thread, &attributes, classify_all, &job) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  pthread_attr_destroy(&attributes);
}

TEST_CASE("sql: parameters of a statement are known from its text, or are not known") {
  struct {
    const char* sql;
    std::optional<std::uint32_t> parameters;
  } const rows[] = {
      {"", 0},
      {"SELECT 1", 0},
      {"SELECT $2 + $1", 2},
      {"SELECT a FROM t WHERE b IN (SELECT $3::int) LIMIT $4", 4},
      {"INSERT INTO t VALUES ($1, $2) ON CONFLICT (a) DO UPDATE SET b = $3 RETURNING $4", 4},
      {"WITH x AS (DELETE FROM t WHERE a = ANY ($1) RETURNING a) SELECT * FROM x", 1},
      {"DECLARE c CURSOR FOR SELECT $1", 1},
      {"CALL p($1)", std::nullopt},
      {"BEGIN", 0},
      {"PREPARE p AS SELECT $1", 0},  // its own are another's
      {"EXECUTE p (1)", std::nullopt},
      {"EXPLAIN SELECT $1", std::nullopt},
      {"COPY (SELECT 1) TO STDOUT", std::nullopt},
      {"CREATE TABLE x AS SELECT $1", std::nullopt},
      {"CREATE VIEW x AS SELECT 1", std::nullopt},
      {"SELECT nobody_knows($1)", std::nullopt},
      {"no SQL", std::nullopt},
  };
  for (const auto& row : rows) {
    CAPTURE(std::string(row.sql));
    CHECK(facts_of(row.sql).parameters == row.parameters);
  }
  CHECK(executed(facts_of("EXECUTE p (1)"), facts_of("SELECT $1")).parameters == 0);
}

TEST_CASE("sql: what a statement reads is listed where it names nothing but plain tables") {
  for (const char* const sql :
       {"SELECT 1", "SELECT a FROM t, s.u", "SELECT lower(a) FROM t",
        "INSERT INTO t SELECT * FROM u", "WITH q AS (SELECT 1) SELECT * FROM q",
        "SELECT a FROM jobs; SELECT b FROM u"}) {
    CAPTURE(sql);
    CHECK(facts_of(sql).reads_listed);
  }
  for (const char* const sql :
       {"SELECT a FROM v", "SELECT a FROM v_now", "SELECT a FROM m", "SELECT a FROM part",
        "SELECT a FROM guarded", "SELECT last_value FROM seq", "SELECT relname FROM pg_class",
        "SELECT f_stable()", "SELECT f_imm(a) FROM t", "SELECT f_volatile()",
        "SELECT a FROM unknown", "SELECT 1; SELECT a FROM v", "CALL p()", "no SQL"}) {
    CAPTURE(sql);
    CHECK_FALSE(facts_of(sql).reads_listed);
  }
  std::string many = "SELECT 1 FROM t";
  for (std::size_t i = 0; i < kTablesMax; ++i) many += ", s" + std::to_string(i) + ".t";
  CHECK_FALSE(facts_of(many).reads_listed);
}

TEST_CASE("sql: what users' functions read that a default or a cast calls is not told") {
  for (const char* const sql : {"INSERT INTO looks_up (b) VALUES (1)", "SELECT a::looked_up FROM t",
                                "INSERT INTO looks_up DEFAULT VALUES"}) {
    CAPTURE(sql);
    CHECK_FALSE(facts_of(sql).reads_listed);
  }
  CHECK(facts_of("INSERT INTO looks_up (a) VALUES (1)").reads_listed);
  CHECK(facts_of("SELECT a::posint FROM t").reads_listed);
}

TEST_CASE("sql: what a write reads without a lock is told, and what it locks is not") {
  for (const char* const sql :
       {"INSERT INTO t SELECT * FROM u", "INSERT INTO t SELECT a FROM v FOR UPDATE",
        "UPDATE t SET a = u.a FROM u WHERE t.a = u.a", "DELETE FROM t USING u WHERE t.a = u.a",
        "UPDATE t SET a = (SELECT sum(a) FROM u)", "UPDATE t SET a = (SELECT sum(a) FROM t)",
        "DELETE FROM t WHERE a IN (SELECT a FROM u)", "UPDATE t SET a = f_stable()",
        "INSERT INTO t (a) SELECT 1 WHERE NOT EXISTS (SELECT FROM t WHERE a = 1)",
        "WITH q AS (SELECT a FROM u) INSERT INTO t SELECT a FROM q",
        "INSERT INTO t SELECT a FROM u FOR KEY SHARE", "SELECT 1; INSERT INTO t SELECT a FROM u",
        "INSERT INTO t SELECT u.a FROM u, (SELECT a FROM u) z FOR UPDATE OF u",
        "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED THEN DELETE",
        "MERGE INTO t USING (VALUES (1)) q (a) ON t.a = q.a WHEN NOT MATCHED THEN INSERT VALUES "
        "(1)",
        "INSERT INTO looks_up (b) VALUES (1)", "UPDATE looks_up SET a = DEFAULT",
        "INSERT INTO t (a) VALUES (CAST($1 AS looked_up))", "CREATE TABLE x AS SELECT * FROM u"}) {
    CAPTURE(sql);
    CHECK(facts_of(sql).reads_beside);
  }
  for (const char* const sql :
       {"SELECT a FROM u",
        "SELECT a FROM u FOR UPDATE",
        "SELECT f_stable()",
        "UPDATE t SET a = a + 1 WHERE a = 1",
        "DELETE FROM t WHERE a = lower('x')",
        "INSERT INTO t (a) VALUES (1)",
        "INSERT INTO t (a) SELECT generate_series(1, 3)",
        "INSERT INTO looks_up (a) VALUES (1)",
        "UPDATE looks_up SET b = 1",
        "SELECT a::looked_up",
        "INSERT INTO t SELECT * FROM (VALUES (1), (2)) q",
        "INSERT INTO t (a) VALUES (1) ON CONFLICT (a) DO UPDATE SET a = t.a + excluded.a",
        "WITH q AS (DELETE FROM t RETURNING a) INSERT INTO u SELECT a FROM q",
        "WITH q AS (SELECT a FROM u ORDER BY a FOR UPDATE) UPDATE t SET a = 1 FROM q",
        "INSERT INTO t SELECT a FROM u FOR SHARE",
        "SELECT a FROM u; UPDATE t SET a = 1",
        "MERGE INTO t USING (VALUES (1)) q (a) ON t.a = q.a WHEN MATCHED THEN DELETE",
        "TRUNCATE t",
        "CREATE VIEW x AS SELECT a FROM u",
        "LOCK TABLE t"}) {
    CAPTURE(sql);
    CHECK_FALSE(facts_of(sql).reads_beside);
  }
  const SqlFacts insert = facts_of("INSERT INTO t (a) VALUES ($1)");
  CHECK(executed(facts_of("EXECUTE p (f_stable())"), insert).reads_beside);
  CHECK_FALSE(executed(facts_of("EXECUTE p (1)"), insert).reads_beside);
}

TEST_CASE("sql: which of equal rows a write keeps is chance, sorted or not") {
  for (const char* const sql :
       {"UPDATE t SET a = 1 WHERE a = (SELECT a FROM u ORDER BY a LIMIT 1)",
        "INSERT INTO t SELECT a FROM u ORDER BY a OFFSET 3",
        "INSERT INTO t SELECT a FROM u ORDER BY a FETCH FIRST 2 ROWS ONLY",
        "INSERT INTO t SELECT DISTINCT ON (a) a FROM u ORDER BY a",
        "WITH q AS (SELECT a FROM u ORDER BY a LIMIT 1) DELETE FROM t USING q WHERE t.a = q.a"}) {
    CAPTURE(sql);
    CHECK_FALSE(facts_of(sql).deterministic);
    CHECK(facts_of(sql).strongest == SqlClass::NondeterministicWrite);
  }
  CHECK(facts_of("SELECT a FROM u ORDER BY a LIMIT 1").deterministic);
  CHECK(facts_of("SELECT a FROM u ORDER BY a LIMIT 1; UPDATE t SET a = 1").deterministic);
  CHECK(facts_of("INSERT INTO t SELECT DISTINCT a FROM u").deterministic);
}

TEST_CASE("sql classifier: deep SQL of any shape fits a small stack") {
  // Twice the limit, on what musl gives to a thread: a 64th of what glibc does.
  on_small_stack(deep_sql(2 * SqlLimits{}.sql_parse_max), kHuge, kSmallStack);
}

TEST_CASE("sql classifier: a megabyte of operators is harmless, parsed or not") {
  const std::vector<std::string> megabyte{"SELECT 1" + repeat("+1", kHuge)};
  on_small_stack(megabyte, 2 * kHuge, kSmallStack);
  SqlClassifier classifier(sample_catalog());
  CHECK(classifier.facts_of(megabyte[0], kStandard)->strongest == SqlClass::Unknown);
  CHECK(classifier.counts().too_long == 1);
  CHECK(classifier.counts().parsed == 0);
}

TEST_CASE("sql classifier: text at the limit is parsed, one byte more is not") {
  const std::string sql = "SELECT a FROM t";
  SqlClassifier exact(sample_catalog(), {.sql_parse_max = sql.size(), .sql_cache_max = 0});
  CHECK(exact.facts_of(sql, kStandard)->strongest == SqlClass::PureRead);
  SqlClassifier tight(sample_catalog(), {.sql_parse_max = sql.size() - 1, .sql_cache_max = 0});
  const auto facts = tight.facts_of(sql, kStandard);
  CHECK(words_of(*facts) == words_of(unknown_sql()));
  CHECK(tight.counts().too_long == 1);
}

TEST_CASE("sql classifier: what costs the parser the square of its length is not parsed") {
  SqlClassifier classifier(sample_catalog());
  for (const std::string& sql :
       {"SELECT 1 " + repeat("+", 1000) + "1", "SELECT 1 " + repeat("/*", 1000),
        "SELECT 1 " + repeat("-+", 99)}) {
    CHECK(classifier.facts_of(sql, kStandard)->strongest == SqlClass::Unknown);
  }
  CHECK(classifier.counts().unclear == 3);
  CHECK(classifier.counts().parsed == 0);
}

TEST_CASE("sql classifier: the same text is parsed once, whatever its comments say") {
  SqlClassifier classifier(sample_catalog());
  const auto first = classifier.facts_of("SELECT a FROM t", kStandard);
  CHECK(classifier.facts_of("SELECT a FROM t", kStandard) == first);
  const auto traced = classifier.facts_of("SELECT a/*1*/FROM t--2", kStandard);
  CHECK(classifier.facts_of("SELECT a/*3*/FROM t--4", kStandard) == traced);
  CHECK(traced->strongest == SqlClass::PureRead);
  CHECK(classifier.facts_of("SELECT a FROM t", SqlReading::Foreign) == first);
  CHECK(classifier.counts().parsed == 1 + (traced == first ? 0 : 1));
}

TEST_CASE("sql classifier: texts that differ in numbers are parsed once, and come once each") {
  SqlClassifier classifier(sample_catalog());
  const auto first = classifier.facts_of("SELECT a FROM t WHERE a = 0", kStandard);
  for (int i = 1; i < 1000; ++i) {
    const std::string sql = "SELECT a FROM t WHERE a = " + std::to_string(i);
    REQUIRE(classifier.facts_of(sql, kStandard) == first);
  }
  CHECK(classifier.counts().parsed == 1);
  CHECK(classifier.counts().hits == 999);
  CHECK(classifier.cache_size() == 1);
}

TEST_CASE("sql classifier: a text that comes again and again is found by its bytes") {
  for (const char* const sql : {"SELECT a FROM t WHERE a = 7", "SELECT a /* 7 */ FROM t",
                                "SELECT '--' FROM t WHERE a = 7", "FETCH 7 FROM c"}) {
    CAPTURE(sql);
    SqlClassifier classifier(sample_catalog());
    const auto first = classifier.facts_of(sql, kStandard);
    (void)classifier.facts_of(sql, kStandard);
    (void)classifier.facts_of(sql, kStandard);
    const std::size_t kept = classifier.cache_size();
    const auto third = classifier.facts_of(sql, kStandard);
    CHECK(words_of(*third) == words_of(*first));
    CHECK(classifier.facts_of(sql, kStandard) == third);
    CHECK(classifier.cache_size() == kept);
    CHECK(classifier.counts().parsed <= 2);
    CHECK(classifier.counts().parsed + classifier.counts().hits == 5);
  }
}

TEST_CASE("sql classifier: bytes that differ in anything are another text") {
  SqlClassifier classifier(sample_catalog());
  for (int i = 0; i < 3; ++i) {
    CHECK(classifier.facts_of("SELECT a FROM t WHERE a = 7", kStandard)->only_reads());
    CHECK(classifier.facts_of("UPDATE t SET a = 7", kStandard)->writes);
    CHECK(classifier.facts_of("SELECT a FROM t WHERE a = 7; DELETE FROM t", kStandard)->writes);
    CHECK(classifier.facts_of("SELECT a FROM t WHERE a = f_volatile(7)", kStandard)->writes);
    CHECK(classifier.facts_of("SELECT 7 /* a */, 'b' FROM t", kStandard)->only_reads());
    CHECK(classifier.facts_of("SELECT 7 /* a, 'b' FROM t", kStandard)->writes);
  }
}

TEST_CASE("sql classifier: what texts were kept under is no text itself, and is not kept") {
  for (const auto reading : {kStandard, SqlReading::Foreign}) {
    SqlClassifier classifier(sample_catalog());
    CHECK(classifier.facts_of("SELECT a FROM t WHERE a = 7", kStandard)->only_reads());
    for (int i = 0; i < 3; ++i) {
      CHECK(classifier.facts_of("\1SELECT a FROM t WHERE a = 0", reading)->writes);
      CHECK(classifier.facts_of("\1SELECT a FROM t", reading)->writes);
    }
    CHECK(classifier.cache_size() == 1);
  }
}

TEST_CASE("sql classifier: what is found by its bytes was read as it is read now") {
  SqlClassifier classifier(sample_catalog());
  const std::string sql = "SELECT 'a\\' /* 7 */ FROM t";
  for (int i = 0; i < 3; ++i) {
    CHECK(classifier.facts_of(sql, kStandard)->only_reads());
    CHECK(classifier.facts_of(sql, SqlReading::Foreign)->writes);
  }
}

TEST_CASE("sql classifier: texts that come again are bounded in bytes with all others") {
  SqlClassifier classifier(sample_catalog(), {.sql_cache_max = 10'000});
  for (int i = 0; i < 300; ++i) {
    const std::string sql = "SELECT a FROM t WHERE a = " + std::to_string(i);
    for (int times = 0; times < 3; ++times) {
      CHECK(classifier.facts_of(sql, kStandard)->only_reads());
      CHECK(classifier.cache_bytes() <= 10'000);
    }
  }
  CHECK(classifier.cache_size() > 1);
  CHECK(classifier.counts().parsed < 10);  // what all of them have in common is asked for
}

TEST_CASE("sql classifier: a syntax error is remembered, too") {
  SqlClassifier classifier(sample_catalog());
  for (int i = 0; i < 3; ++i) {
    CHECK(classifier.facts_of("SELEC 1", kStandard)->strongest == SqlClass::Unknown);
  }
  CHECK(classifier.counts().broken == 1);
  CHECK(classifier.counts().hits == 2);
}

TEST_CASE("sql classifier: names mean what the newest catalog says") {
  SqlClassifier classifier(SqlCatalog::built_in());
  CHECK(classifier.facts_of("SELECT a FROM t", kStandard)->strongest == SqlClass::Unknown);
  classifier.adopt(sample_catalog());
  CHECK(classifier.facts_of("SELECT a FROM t", kStandard)->strongest == SqlClass::PureRead);
  for (const char* const sql : {"SELECT a FROM t WHERE a = 7", "SELECT a /* 7 */ FROM t"}) {
    CAPTURE(sql);
    for (int i = 0; i < 4; ++i) CHECK(classifier.facts_of(sql, kStandard)->only_reads());
    classifier.adopt(SqlCatalog::built_in());
    CHECK(classifier.cache_size() == 0);
    CHECK(classifier.facts_of(sql, kStandard)->strongest == SqlClass::Unknown);
    classifier.adopt(sample_catalog());
  }
}

TEST_CASE("sql classifier: facts outlive the cache they came from") {
  SqlClassifier classifier(sample_catalog(), {.sql_cache_max = 2000});
  const std::shared_ptr<const SqlFacts> held = classifier.facts_of("TABLE t", kStandard);
  for (int i = 0; i < 100; ++i) {
    (void)classifier.facts_of("SELECT " + std::to_string(i), kStandard);
    CHECK(classifier.cache_bytes() <= 2000);
  }
  CHECK(words_of(*held) == "pure_read r:t");
}

TEST_CASE("sql classifier: a foreign reading trusts only what all readings share") {
  const auto foreign = [](const char* sql) { return facts_of(sql, SqlReading::Foreign).strongest; };
  CHECK(foreign("SELECT 'a' FROM t") == SqlClass::PureRead);
  CHECK(foreign("SELECT 'a\\' FROM t") == SqlClass::Unknown);
  CHECK(foreign("SELECT '\x83\x5c' FROM t") == SqlClass::Unknown);
  CHECK(facts_of("SELECT 'a\\' FROM t").strongest == SqlClass::PureRead);
  CHECK(reading_of("on", "UTF8") == SqlReading::Standard);
  CHECK(reading_of("off", "UTF8") == SqlReading::Foreign);
  CHECK(reading_of("on", "SJIS") == SqlReading::Foreign);
  CHECK(reading_of("on", "LATIN1") == SqlReading::Standard);
}

TEST_CASE("sql classifier: a zero byte hides nothing behind it") {
  const std::string sql("SELECT 1\0; DROP TABLE t", 23);
  CHECK(facts_of(sql).strongest == SqlClass::Unknown);
}

TEST_CASE("sql classifier: columns with defaults cost in proportion to their number") {
  const auto add = [](std::size_t columns) {
    std::string sql = "ALTER TABLE t ADD a int";
    sql += repeat(", ADD a int DEFAULT nextval('seq')", 35 * columns);
    std::string scratch;
    const auto catalog = sample_catalog();
    return seconds_for([&] { classify(sql, *catalog, kStandard, kHuge, scratch); });
  };
  add(100);
  const double few = add(100);
  CHECK(add(2'000) < 100 * few);  // 400 times as much, were the text looked through for each
}

TEST_CASE("sql classifier: comments never change what a statement is") {
  for (const char* const sql :
       {"INSERT INTO t (a) VALUES ('x', 'y')", "SELECT a FROM t WHERE b = 'c'",
        "SET search_path = a, b", "SELECT f_volatile(1)", "BEGIN READ ONLY"}) {
    const std::string text = sql;
    const std::string plain = words_of(facts_of(text));
    for (std::size_t at = 0; at <= text.size(); ++at) {
      if (at > 0 && at < text.size() && text[at - 1] != ' ' && text[at] != ' ') continue;
      CAPTURE(at);
      CHECK(words_of(facts_of(text.substr(0, at) + "/*'\"$$*/" + text.substr(at))) == plain);
      CHECK(words_of(facts_of(text.substr(0, at) + "--'\"\n" + text.substr(at))) == plain);
    }
  }
}

}  // namespace
}  // namespace crossfade::postgres
