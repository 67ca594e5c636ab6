// Comments taken out: what is left means the same.
#include <doctest/doctest.h>

#include <string>

#include "protocols/postgres/sql_comments.h"

namespace crossfade::postgres {
namespace {

std::string left_of(std::string_view sql) {
  std::string left = "what was there before";
  CAPTURE(sql);
  CHECK(without_comments(sql, left) == SqlLexis::Plain);
  return left;
}

SqlLexis lexis_of(std::string_view sql) {
  std::string left;
  return without_comments(sql, left);
}

TEST_CASE("sql comments: they go, and what they separated stays separate") {
  CHECK(left_of("") == "");
  CHECK(left_of("SELECT 1") == "SELECT 1");
  CHECK(left_of("SELECT/**/1") == "SELECT 1");
  CHECK(left_of("/* app:a */ SELECT 1 /* trace:7 */") == "  SELECT 1  ");
  CHECK(left_of("SELECT 1 -- why") == "SELECT 1 ");
  CHECK(left_of("SELECT 1 -- why\n+ 2") == "SELECT 1 \n+ 2");
  CHECK(left_of("SELECT 1 -- why\r+ 2") == "SELECT 1 \r+ 2");
  CHECK(left_of("--") == "");
  CHECK(left_of("SELECT 1 /* a /* b */ c */ + 2") == "SELECT 1   + 2");
  CHECK(left_of("/*/**/*/1") == " 1");
  CHECK(left_of("/***/1/****/") == " 1 ");
  CHECK(left_of("a-/*x*/-b") == "a- -b");
  CHECK(left_of("a - b / c * d") == "a - b / c * d");
  CHECK(left_of("1+--x\n2") == "1+\n2");
  CHECK(left_of("1+/*x*/2") == "1+ 2");
}

TEST_CASE("sql comments: inside of literals and names there are none") {
  for (const char* const sql :
       {"SELECT '-- a'", "SELECT '/* a */'", "SELECT 'it''s -- a'", "SELECT \"a--b\"",
        "SELECT \"a\"\"/*b*/\"", "SELECT $$ -- a $$", "SELECT $q$ /* $$ -- $x$ */ $q$",
        "SELECT E'\\'--a'", "SELECT e'\\\\' , '--a'", "SELECT e'a''--'", "SELECT B'0--1'",
        "SELECT U&'\\0041--a'", "SELECT N'--a'", "SELECT '\\' , '--a'", "SELECT typE'\\' , '--a'",
        "SELECT a$b$c, '--' AS d$b$", "SELECT $1, '--'", "SELECT \xc3\xa9$a$ , '--' , $a$ '"}) {
    CAPTURE(sql);
    if (lexis_of(sql) == SqlLexis::Plain) CHECK(left_of(sql) == sql);
  }
  CHECK(left_of("SELECT '\\'--a'") == "SELECT '\\'");  // a backslash is nothing without the E
  CHECK(left_of("SELECT typE'\\'--a'") == "SELECT typE'\\'");
  CHECK(left_of("SELECT E'\\'--a'--b") == "SELECT E'\\'--a'");
  CHECK(left_of("SELECT a$b$--$b$") == "SELECT a$b$");
  CHECK(left_of("SELECT $b$--$b$--") == "SELECT $b$--$b$");
  CHECK(left_of("SELECT $ 1--a") == "SELECT $ 1");
  CHECK(left_of("SELECT $a--b") == "SELECT $a");
}

TEST_CASE("sql comments: strings that a comment kept apart stay apart") {
  CHECK(left_of("SELECT 'a' -- x\n'b'") == "SELECT 'a' \n'b'");  // one string, before and after
  CHECK(left_of("SELECT 'a' /* x */\n'b'") == "SELECT 'a' /**/\n'b'");
  CHECK(left_of("SELECT 'a'\n/* x */'b'") == "SELECT 'a'\n/**/'b'");
  CHECK(left_of("SELECT 'a' /* x */ /* y */\n'b'") == "SELECT 'a' /**/  \n'b'");
}

TEST_CASE("sql comments: text without a clear end stays as it is") {
  for (const char* const sql :
       {"SELECT 'a --", "SELECT \"a /* b */", "SELECT $$ /* a */", "/* a", "/* a /* b */",
        "SELECT E'a\\' /* b */", "SELECT 1E'\\'/**/'", "SELECT 1$a$/**/$a$", "SELECT $1a$b", "/*/",
        "'", "E'", "E'\\", "$$", "$a$", "$a$$a", "\""}) {
    CAPTURE(sql);
    std::string left;
    CHECK(without_comments(sql, left) == SqlLexis::Unclear);
    CHECK(left == sql);
  }
}

TEST_CASE("sql comments: a run of operator characters is as long as any operator, no longer") {
  const std::string run(kOperatorRunMax, '+');
  CHECK(lexis_of("SELECT 1 " + run + " 1") == SqlLexis::Plain);
  CHECK(lexis_of("SELECT 1 " + run + "+ 1") == SqlLexis::LongRun);
  CHECK(lexis_of("SELECT '" + run + run + "'") == SqlLexis::Plain);
  CHECK(lexis_of("SELECT 1 --" + run + run) == SqlLexis::Plain);
  CHECK(lexis_of("SELECT 1 /*" + run + run + "*/") == SqlLexis::Plain);
  CHECK(lexis_of("SELECT 1 " + run + "/**/" + run + " 1") == SqlLexis::Plain);
}

TEST_CASE("sql comments: where there can be none, none are looked for") {
  CHECK(has_no_comment("SELECT a - b / c FROM t"));
  CHECK(!has_no_comment("SELECT 1 -- a"));
  CHECK(!has_no_comment("SELECT '/*'"));
}

}  // namespace
}  // namespace crossfade::postgres
