// Rows that a statement tells: which conditions count, and how a row is named.
#include "protocols/postgres/row_names.h"

#include <doctest/doctest.h>

#include <span>

#include "protocols/postgres/sql_catalog_learn.h"

namespace crossfade::postgres {
namespace {

const SqlCatalog& catalog() {
  static constexpr SqlCatalogRow kRows[] = {
      {"r", "public", "t", "rn", ""},     {"r", "public", "log", "rn", ""},
      {"r", "public", "pair", "rn", ""},  {"r", "public", "two", "rn", ""},
      {"r", "s", "two", "rn", ""},        {"k", "public", "t", "id", "23"},
      {"k", "public", "pair", "a", "23"}, {"k", "public", "pair", "b", "25"},
      {"k", "public", "two", "id", "23"}, {"k", "s", "two", "number", "20"},
  };
  static const auto learned = *learn_sql_catalog(kRows, {});
  return *learned;
}

// A parameter as "$1", cast as "$1:23".
std::string name_of(const ToldRows& rows, const ToldRow& row) {
  RowValues values;
  for (const RowColumn& column : row) {
    if (const auto* const parameter = std::get_if<RowParameter>(&column.value)) {
      std::string text = "$" + std::to_string(parameter->number);
      if (parameter->type != 0) text += ":" + std::to_string(parameter->type);
      values.emplace_back(column.name, text);
    } else {
      values.emplace_back(column.name, std::get<std::string>(column.value));
    }
  }
  return row_name(rows.table, values).value_or("?");
}

// Of each statement its rows, or its table; "+" where it returns them.
std::string words_of(std::string_view sql) {
  std::string words;
  for (const ToldRows& rows : rows_told_by(sql, catalog())) {
    if (!words.empty()) words += "; ";
    std::string names;
    for (const ToldRow& row : rows.rows) names += (names.empty() ? "" : " ") + name_of(rows, row);
    words += names.empty() ? rows.table.name : names;
    if (rows.returns) words += " +";
  }
  return words;
}

struct Row {
  const char* sql;
  const char* words;
};

void check_rows(std::span<const Row> rows) {
  for (const Row& row : rows) {
    const std::string sql = row.sql;
    CAPTURE(sql);
    CHECK(words_of(row.sql) == row.words);
  }
}

TEST_CASE("row names: columns that equal something tell a row") {
  constexpr Row kRows[] = {
      {"UPDATE t SET n = 1 WHERE id = 7", "t (id=7)"},
      {"DELETE FROM t WHERE id = 7;", "t (id=7)"},
      {"UPDATE public.t SET n = $2 WHERE id = $1", "public.t (id='$1')"},
      {"UPDATE t SET n = 1 WHERE 7 = id", "t (id=7)"},
      {"UPDATE t SET n = 1 WHERE t.id = 7", "t (id=7)"},
      {"UPDATE t AS x SET n = 1 WHERE x.id = 7", "t (id=7)"},
      {"UPDATE ONLY t SET n = 1 WHERE (id = 7)", "t (id=7)"},
      {"UPDATE t SET n = 1 WHERE id OPERATOR(pg_catalog.=) 7", "t (id=7)"},
      {"DELETE FROM log WHERE b = 'x' AND a = 1", "log (a=1, b='x')"},
      {"DELETE FROM log WHERE (a = 1 AND b = 'x') AND (c = 2 AND d = 3)",
       "log (a=1, b='x', c=2, d=3)"},
      {"DELETE FROM log WHERE a = 1 AND a = 2", "log (a=1)"},  // none, or that one
      {"UPDATE t SET n = 1 WHERE id = 1; SELECT 1; DELETE FROM log WHERE a = 2",
       "t (id=1); log (a=2)"},
      {"SELECT 1", ""},
      {"no SQL", ""},
  };
  check_rows(kRows);
}

TEST_CASE("row names: of the whole primary key what else is asked does not matter") {
  constexpr Row kRows[] = {
      {"UPDATE t SET n = 1 WHERE id = 7 AND n > 3", "t (id=7)"},
      {"UPDATE t SET n = 1 WHERE version = 3 AND id = 7", "t (id=7)"},
      {"DELETE FROM t WHERE id = 7 AND (n = 1 OR n = 2)", "t (id=7)"},
      {"DELETE FROM t WHERE (id = 7 OR n = 1) AND n = 2", "t"},
      {"DELETE FROM t WHERE n = 1", "t (n=1)"},
      {"DELETE FROM pair WHERE b = 'x' AND a = 1 AND c <> 2", "pair (a=1, b='x')"},
      {"DELETE FROM pair WHERE a = 1 AND c <> 2", "pair"},
      {"DELETE FROM pair WHERE a = 1 AND c = 2", "pair (a=1, c=2)"},
      {"DELETE FROM two WHERE id = 1 AND n <> 1", "two"},  // whose key it is nobody knows
      {"DELETE FROM s.two WHERE number = 1 AND n <> 1", "s.two (number=1)"},
      {"DELETE FROM s.two WHERE id = 1 AND n <> 1", "two"},
  };
  check_rows(kRows);
}

TEST_CASE("row names: anything that is no equality of a column and a value tells none") {
  constexpr const char* kConditions[] = {"a = 1 OR b = 2",
                                         "NOT a = 1",
                                         "a <> 1",
                                         "a < 1",
                                         "a = 1 AND b > 2",
                                         "a = lower('x')",
                                         "lower(a) = 'x'",
                                         "a = now()",
                                         "a = current_date",
                                         "a = 7.6::int",
                                         "a = ' 7'::int",
                                         "a = 'xy'::char(1)",
                                         "a = 'xy'::varchar(1)",
                                         "a = '1'::numeric(5, 2)",
                                         "a = '{1}'::int[]",
                                         "a = 'x'::app.text",
                                         "a = date '2020-01-01'",
                                         "a::text = '1'",
                                         "a IN (1)",
                                         "a IN (1, 2)",
                                         "a = (SELECT 1)",
                                         "a = ANY ('{1}')",
                                         "a = ALL (ARRAY[1])",
                                         "a LIKE 'x'",
                                         "a ILIKE 'x'",
                                         "a SIMILAR TO 'x'",
                                         "a BETWEEN 1 AND 1",
                                         "a IS NULL",
                                         "a = NULL",
                                         "a = true",
                                         "a",
                                         "a = b",
                                         "1 = 1",
                                         "a = 1 + 1",
                                         "a = +1",
                                         "a = - (-1 + 0)",
                                         "a IS NOT DISTINCT FROM 1",
                                         "(a, b) = (1, 2)",
                                         "ROW(a) = ROW(1)",
                                         "log = '(1)'",
                                         "log.* = '(1)'",
                                         "ctid = '(0,1)'",
                                         "tableoid = 1",
                                         "a = B'1'",
                                         "a = X'1f'",
                                         "a[1] = 1",
                                         "(a).b = 1",
                                         "a = 'x' COLLATE \"C\"",
                                         "a OPERATOR(app.=) 1",
                                         "a = CASE WHEN true THEN 1 END",
                                         "a = coalesce(1, 2)",
                                         "a = DATE 'today'",
                                         "EXISTS (SELECT 1)",
                                         "CURRENT OF c"};
  for (const char* const condition : kConditions) {
    CAPTURE(condition);
    CHECK(words_of(std::string("DELETE FROM log WHERE ") + condition) == "log");
  }
  constexpr Row kRows[] = {
      {"DELETE FROM log", "log"},
      {"UPDATE log SET a = 1", "log"},
      {"DELETE FROM t USING log WHERE id = 1", "t"},
      {"UPDATE t SET n = 1 FROM log WHERE id = 1", "t"},
      {"WITH x AS (SELECT 1) DELETE FROM t WHERE id = 1", "t"},
      {"WITH x AS (DELETE FROM t WHERE id = 1 RETURNING id) SELECT * FROM x", ""},
      {"TRUNCATE t", ""},
      {"EXPLAIN ANALYZE DELETE FROM t WHERE id = 1", ""},
      {"PREPARE p AS DELETE FROM t WHERE id = 1", ""},
      {"MERGE INTO t USING log ON id = 1 WHEN MATCHED THEN DELETE", ""},
  };
  check_rows(kRows);
}

TEST_CASE("row names: a constant is its value however it is written") {
  constexpr Row kRows[] = {
      {"DELETE FROM log WHERE a = -7", "log (a=-7)"},
      {"DELETE FROM log WHERE a = - 7", "log (a=-7)"},
      {"DELETE FROM log WHERE a = 7.50", "log (a=7.50)"},
      {"DELETE FROM log WHERE a = 1e3", "log (a='1e3')"},
      {"DELETE FROM log WHERE a = .5", "log (a='.5')"},
      {"DELETE FROM log WHERE a = 12345678901234567890", "log (a=12345678901234567890)"},
      {"DELETE FROM log WHERE a = '7'", "log (a=7)"},
      {"DELETE FROM log WHERE a = ''", "log (a='')"},
      {"DELETE FROM log WHERE a = '-'", "log (a='-')"},
      {"DELETE FROM log WHERE a = '7 '", "log (a='7 ')"},
      {"DELETE FROM log WHERE a = 'it''s'", "log (a='it''s')"},
      {"DELETE FROM log WHERE a = 'one' \n 'two'", "log (a='onetwo')"},
      {"DELETE FROM log WHERE a = E'it\\'s'", "log (a='it''s')"},
      {"DELETE FROM log WHERE a = E'\\x41'", "log (a='A')"},
      {"DELETE FROM log WHERE a = 'a\\b'", "log (a='a\\b')"},
      {"DELETE FROM log WHERE a = U&'\\0041'", "log (a='A')"},
      {"DELETE FROM log WHERE a = $$it's$$", "log (a='it''s')"},
      {"DELETE FROM log WHERE a = $q$x$q$", "log (a='x')"},
      {"DELETE FROM log WHERE a = 'x' /* '*/ -- 'y'", "log (a='x')"},
      {"DELETE FROM log WHERE a = '7'::int", "log (a=7)"},
      {"DELETE FROM log WHERE a = 7::bigint", "log (a=7)"},
      {"DELETE FROM log WHERE a = 'x'::text", "log (a='x')"},
      {"DELETE FROM log WHERE a = CAST('x' AS varchar)", "log (a='x')"},
      {"DELETE FROM log WHERE a = 'F0'::uuid", "log (a='F0')"},
      {"DELETE FROM log WHERE a = $3::uuid", "log (a='$3:2950')"},
      {"DELETE FROM log WHERE a = $1::integer", "log (a='$1:23')"},
      {"DELETE FROM log WHERE a = $1::numeric", "log"},
  };
  check_rows(kRows);
}

TEST_CASE("row names: names that are not plain are quoted, so that none is another's") {
  constexpr Row kRows[] = {
      {"DELETE FROM LOG WHERE A = 1", "log (a=1)"},
      {"DELETE FROM \"log\" WHERE \"a\" = 1", "log (a=1)"},
      {"DELETE FROM log WHERE \"A\" = 1", "log (\"A\"=1)"},
      {"DELETE FROM log WHERE \"a \"\"b\" = 1", "log (\"a \"\"b\"=1)"},
      {"DELETE FROM \"log (a=1)\" WHERE b = 2", "\"log (a=1)\" (b=2)"},
      {"DELETE FROM \"x.log\" WHERE b = 2", "\"x.log\" (b=2)"},
      {"DELETE FROM \"S\".\"1\" WHERE b = 2", "\"S\".\"1\" (b=2)"},
      {"DELETE FROM log WHERE é = 1", "log (\"é\"=1)"},
  };
  check_rows(kRows);
}

TEST_CASE("row names: an UPDATE that moves a row to another constant tells both") {
  constexpr Row kRows[] = {
      {"UPDATE t SET id = 8 WHERE id = 7", "t (id=7) t (id=8)"},
      {"UPDATE t SET n = 1, id = $2 WHERE id = $1", "t (id='$1') t (id='$2')"},
      {"UPDATE t SET id = id + 1 WHERE id = 7", "t (id=7)"},
      {"UPDATE t SET id = DEFAULT WHERE id = 7", "t (id=7)"},
      {"UPDATE t SET (id, n) = (8, 9) WHERE id = 7", "t (id=7)"},
      {"UPDATE log SET a = 2 WHERE a = 1 AND b = 'x'", "log (a=1, b='x') log (a=2, b='x')"},
      {"UPDATE log SET a[1] = 2 WHERE a = '{}'", "log (a='{}')"},
  };
  check_rows(kRows);
}

TEST_CASE("row names: VALUES with the primary key tell their rows") {
  constexpr Row kRows[] = {
      {"INSERT INTO t (id, n) VALUES (1, 2)", "t (id=1)"},
      {"INSERT INTO t (n, id) VALUES (now(), '1'), (0, $1), (0, 1 + 1), (0, DEFAULT)",
       "t (id=1) t (id='$1')"},
      {"INSERT INTO pair (b, c, a) VALUES ('x', 2, 1)", "pair (a=1, b='x')"},
      {"INSERT INTO s.two (number) VALUES (1)", "s.two (number=1)"},
      {"INSERT INTO two (id) VALUES (1)", "two"},
      {"INSERT INTO two (id) VALUES (1)", "two"},
      {"INSERT INTO pair (a) VALUES (1)", "pair"},
      {"INSERT INTO log (a) VALUES (1)", "log"},
      {"INSERT INTO t VALUES (1, 2)", "t"},  // in which column they are nobody knows
      {"INSERT INTO t DEFAULT VALUES", "t"},
      {"INSERT INTO t (id) SELECT 1", "t"},
      {"INSERT INTO t (id) TABLE log", "t"},
      {"INSERT INTO t (id) VALUES (1) UNION VALUES (2)", "t"},
      {"INSERT INTO t (id[1]) VALUES (1)", "t"},
      {"INSERT INTO t (id, n) VALUES (1)", "t (id=1)"},
      {"INSERT INTO t (n, id) VALUES (1)", "t"},
      {"WITH x AS (SELECT 1) INSERT INTO t (id) VALUES (1)", "t"},
      {"INSERT INTO t (id) OVERRIDING SYSTEM VALUE VALUES (1)", "t (id=1)"},
      {"INSERT INTO t (id) OVERRIDING USER VALUE VALUES (1)", "t"},
      {"INSERT INTO t (id) VALUES (1) ON CONFLICT DO NOTHING", "t (id=1)"},
      {"INSERT INTO t (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 1", "t (id=1)"},
      {"INSERT INTO t (id) VALUES (1) ON CONFLICT (n) DO UPDATE SET n = 1", "t"},
      {"INSERT INTO t (id) VALUES (1) ON CONFLICT (lower(id)) DO UPDATE SET n = 1", "t"},
      {"INSERT INTO t (id) VALUES (1) ON CONFLICT ON CONSTRAINT c DO UPDATE SET n = 1", "t"},
      {"INSERT INTO pair (a, b) VALUES (1, 2) ON CONFLICT (b, a) DO UPDATE SET c = 1",
       "pair (a=1, b=2)"},
      {"INSERT INTO pair (a, b) VALUES (1, 2) ON CONFLICT (b) DO UPDATE SET c = 1", "pair"},
  };
  check_rows(kRows);
}

TEST_CASE("row names: what is returned is the table's own where columns stand for themselves") {
  constexpr Row kRows[] = {
      {"INSERT INTO t (n) VALUES (1) RETURNING id", "t +"},
      {"INSERT INTO t (n) VALUES (1) RETURNING *", "t +"},
      {"INSERT INTO t AS x (n) VALUES (1) RETURNING x.*, x.id, id AS id", "t +"},
      {"UPDATE t SET n = 1 RETURNING t.id", "t +"},
      {"DELETE FROM t WHERE id = 1 RETURNING n", "t (id=1) +"},
      {"INSERT INTO t (n) VALUES (1) RETURNING n AS id", "t"},
      {"INSERT INTO t (n) VALUES (1) RETURNING id, lower(n)", "t"},
      {"INSERT INTO t (n) VALUES (1) RETURNING id::text", "t"},
      {"INSERT INTO t (n) VALUES (1) RETURNING (SELECT 1 AS id)", "t"},
      {"INSERT INTO t (n) VALUES (1) RETURNING (n).id", "t"},
      {"INSERT INTO t (n) VALUES (1) RETURNING t", "t"},
      {"INSERT INTO t (n) VALUES (1) RETURNING ctid, id", "t"},
      {"UPDATE t SET n = 1 FROM log RETURNING id", "t"},
      {"DELETE FROM t USING log RETURNING *", "t"},
      {"WITH x AS (SELECT 1) INSERT INTO t (n) VALUES (1) RETURNING id", "t"},
  };
  check_rows(kRows);
}

TEST_CASE("row names: texts, columns, rows and names have limits") {
  const std::string start = "DELETE FROM log WHERE a = '";
  CHECK(words_of(start + std::string(kRowsTextMax - start.size() - 1, ' ') + "'") == "?");
  CHECK(words_of(start + std::string(kRowsTextMax - start.size(), ' ') + "'").empty());
  const std::size_t around = std::string("log (a='')").size();
  CHECK(words_of(start + std::string(kRowNameMax - around, 'x') + "'").size() == kRowNameMax);
  CHECK(words_of(start + std::string(kRowNameMax - around + 1, 'x') + "'") == "?");
  std::string columns = "DELETE FROM log WHERE c0 = 0";
  for (std::size_t i = 1; i < kRowColumnsMax; ++i) columns += " AND c" + std::to_string(i) + " = 0";
  CHECK(words_of(columns).starts_with("log (c0=0, c1=0"));
  CHECK(words_of(columns + " AND more = 0") == "log");
  std::string rows = "INSERT INTO t (id) VALUES (0)";
  for (std::size_t i = 1; i < 100; ++i) rows += ",(" + std::to_string(i) + ")";
  CHECK(rows_told_by(rows, catalog())[0].rows.size() == kRowsMax + 1);
  std::string deep = "DELETE FROM t WHERE ";
  for (int i = 0; i < 500; ++i) deep += "n = 1 AND (";
  CHECK(words_of(deep + "id = 7" + std::string(500, ')')) == "t (id=7)");
  CHECK(words_of(std::string("DELETE FROM t WHERE id = 7\0", 27)).empty());
}

TEST_CASE("row names: binary values are read by their type, and only at their size") {
  const auto raw = [](std::string_view bytes) { return bytes; };
  using std::string_view_literals::operator""sv;
  CHECK(text_of_binary(type_oid::kInt2, raw("\xff\xfe"sv)) == "-2");
  CHECK(text_of_binary(type_oid::kInt4, raw("\0\0\1\2"sv)) == "258");
  CHECK(text_of_binary(type_oid::kInt4, raw("\x80\0\0\0"sv)) == "-2147483648");
  CHECK(text_of_binary(type_oid::kInt8, raw("\x80\0\0\0\0\0\0\0"sv)) == "-9223372036854775808");
  CHECK(text_of_binary(type_oid::kText, "it's") == "it's");
  CHECK(text_of_binary(type_oid::kVarchar, "") == "");
  CHECK(text_of_binary(type_oid::kUuid,
                       "\x01\x23\x45\x67\x89\xab\xcd\xef\x01\x23\x45\x67\x89\xab\xcd\xef"sv) ==
        "01234567-89ab-cdef-0123-456789abcdef");
  for (const std::uint32_t type :
       {type_oid::kInt2, type_oid::kInt4, type_oid::kInt8, type_oid::kUuid}) {
    CHECK_FALSE(text_of_binary(type, "123"));
    CHECK_FALSE(text_of_binary(type, ""));
  }
  CHECK_FALSE(text_of_binary(1700, "1234"));  // numeric
  CHECK_FALSE(text_of_binary(0, "1234"));
}

TEST_CASE("row names: a NULL is no text, and what has no columns has no name") {
  const TableName table{"", "t"};
  CHECK(row_name(table, {{"a", std::nullopt}, {"A", "null"}}) == "t (\"A\"='null', a=null)");
  CHECK_FALSE(row_name(table, {}));
}

}  // namespace
}  // namespace crossfade::postgres
