// Who a comment of SQL says that it is of.
#include "protocols/postgres/commented.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

namespace crossfade::postgres {

namespace {

std::string user(std::string_view sql, std::string_view name = "user") {
  std::array<char, kCommentedMax> room;
  const auto value = commented(sql, name, room);
  return value ? std::string(*value) : "none";
}

}  // namespace

TEST_CASE("commented: a pair of the comment that a text ends or begins with") {
  CHECK(user("SELECT 1 /*user='42'*/") == "42");
  CHECK(user("SELECT 1 /*user='42'*/;") == "42");
  CHECK(user("SELECT 1 /* action='%2Fshow' , user='42' */ ; \n") == "42");
  CHECK(user("SELECT 1/*a='1',user='42',z='2'*/") == "42");
  CHECK(user("  /*user='42'*/ SELECT 1") == "42");
  CHECK(user("/*user='1'*/ SELECT 1 /*user='2'*/") == "1");
  CHECK(user("/* by hand */ SELECT 1 /*user='2'*/") == "2");
  CHECK(user("SELECT '/*user=''no''*/' /*user='42'*/") == "42");
  CHECK(user("SELECT 1 /*db.user='7'*/", "db.user") == "7");
}

TEST_CASE("commented: values are URL-encoded, and their quotes escaped") {
  CHECK(user("SELECT 1 /*user='a%20b%2c%27c%27'*/") == "a b,'c'");
  CHECK(user("SELECT 1 /*user='O\\'Neill',x='1'*/") == "O'Neill");
  CHECK(user("SELECT 1 /*x='a\\'b,user=',user='42'*/") == "42");
  CHECK(user("SELECT 1 /*user='100%'*/") == "100%");
  CHECK(user("SELECT 1 /*user='%zz%4'*/") == "%zz%4");
  CHECK(user("SELECT 1 /*user='%00'*/") == std::string("\0", 1));
}

TEST_CASE("commented: what is no such comment, or not where it has to be, says nothing") {
  for (const char* sql :
       {"", ";", "SELECT 1", "SELECT 1 /*user=42*/", "SELECT 1 /*user='42*/",
        "SELECT 1 /*user=''*/", "SELECT 1 /*User='42'*/", "SELECT 1 /*superuser='42'*/",
        "SELECT 1 /*x='user=42'*/", "SELECT '/*user=''42''*/'", "SELECT 1 /*a='1' user='42'*/",
        "SELECT 1 /*user*/", "*/", "/*", "/*/", "SELECT /*user='42'*/ 1",
        "SELECT $$/*user='42'*/$$", "SELECT \"/*user='42'*/\""}) {
    CAPTURE(sql);
    CHECK(user(sql) == "none");
  }
}

TEST_CASE("commented: a value that is too long for the room is none") {
  const std::string most(kCommentedMax, 'a');
  CHECK(user("SELECT 1 /*user='" + most + "'*/") == most);
  CHECK(user("SELECT 1 /*user='" + most + "a'*/") == "none");
  std::string encoded;
  for (std::size_t i = 0; i < kCommentedMax; ++i) encoded += "%61";
  CHECK(user("SELECT 1 /*user='" + encoded + "'*/") == most);
}

TEST_CASE("commented: no beginning of a text is read beyond its end") {
  const std::string sql = "/* user = 'a%2' , b='c\\'' */ SELECT 1 /*user='4%32\\'' , b='c'*/ ;";
  for (std::size_t size = 0; size <= sql.size(); ++size) {
    for (std::size_t from = 0; from <= size; ++from) {
      std::array<char, 2> room;
      const std::string part = sql.substr(from, size - from);  // its bytes end where it does
      const auto value = commented(part, "user", room);
      if (value) CHECK(value->size() <= room.size());
    }
  }
}

}  // namespace crossfade::postgres
