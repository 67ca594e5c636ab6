// Reading whole replies: what they are, and that anything else is nothing.
#include "protocols/redis/reply_view.h"

#include <doctest/doctest.h>

#include <string>

namespace crossfade::redis {
namespace {

using Elements = std::vector<std::string_view>;

Elements split(std::string_view reply) {
  Elements elements;
  REQUIRE(split_elements(reply, elements));
  return elements;
}

TEST_CASE("reply view: texts are bulks and simple strings, with any bytes in them") {
  CHECK(text_in("$3\r\nabc\r\n") == "abc");
  CHECK(text_in("$0\r\n\r\n") == "");
  CHECK(text_in("$4\r\na\r\nb\r\n") == "a\r\nb");
  CHECK(text_in("+OK\r\n") == "OK");
  CHECK(text_in("+\r\n") == "");
  for (const char* other : {"$-1\r\n", "_\r\n", ":1\r\n", "-ERR\r\n", "*0\r\n", ",1.5\r\n",
                            "#t\r\n", "!3\r\nERR\r\n", "=5\r\ntxt:a\r\n", ""}) {
    CHECK(text_in(other) == std::nullopt);
  }
}

TEST_CASE("reply view: numbers are integers only") {
  CHECK(integer_in(":0\r\n") == 0);
  CHECK(integer_in(":-2\r\n") == -2);
  CHECK(integer_in(":9223372036854775807\r\n") == INT64_MAX);
  for (const char* other : {":9223372036854775808\r\n", ":\r\n", ":1x\r\n", "$1\r\n1\r\n", "+1\r\n",
                            ",1\r\n", "(1\r\n", "_\r\n"}) {
    CHECK(integer_in(other) == std::nullopt);
  }
}

TEST_CASE("reply view: null and errors are told in either protocol") {
  for (const char* null : {"$-1\r\n", "*-1\r\n", "_\r\n"}) {
    CHECK(is_null(null));
    CHECK_FALSE(is_error(null));
  }
  for (const char* error : {"-ERR no\r\n", "!3\r\nERR\r\n"}) {
    CHECK(is_error(error));
    CHECK_FALSE(is_null(error));
  }
  for (const char* value : {"$0\r\n\r\n", "*0\r\n", ":-1\r\n", "+-1\r\n"}) {
    CHECK_FALSE(is_null(value));
    CHECK_FALSE(is_error(value));
  }
}

TEST_CASE("reply view: an aggregate is split into whole replies, a map into keys and values") {
  CHECK(split("*0\r\n").empty());
  CHECK(split("*2\r\n$1\r\na\r\n:1\r\n") == Elements{"$1\r\na\r\n", ":1\r\n"});
  CHECK(split("~1\r\n_\r\n") == Elements{"_\r\n"});
  CHECK(split(">1\r\n+a\r\n") == Elements{"+a\r\n"});
  CHECK(split("%1\r\n+k\r\n*1\r\n:1\r\n") == Elements{"+k\r\n", "*1\r\n:1\r\n"});
  CHECK(split("*2\r\n*1\r\n*0\r\n$-1\r\n") == Elements{"*1\r\n*0\r\n", "$-1\r\n"});
}

TEST_CASE("reply view: attributes are passed over, those of elements stay with them") {
  const std::string attribute = "|1\r\n+ttl\r\n*1\r\n:5\r\n";
  CHECK(integer_in(attribute + ":1\r\n") == 1);
  CHECK(text_in(attribute + attribute + "+a\r\n") == "a");
  CHECK(is_null(attribute + "_\r\n"));
  const std::string inside = attribute + "*2\r\n" + attribute + ":1\r\n:2\r\n";
  CHECK(split(inside) == Elements{attribute + ":1\r\n", ":2\r\n"});
  CHECK(integer_in(attribute) == std::nullopt);
}

TEST_CASE("reply view: what is no aggregate is not split, and leaves what was there") {
  for (const char* other : {"*-1\r\n", "_\r\n", ":1\r\n", "$1\r\na\r\n", "-ERR\r\n", "", "*",
                            "|1\r\n:1\r\n:1\r\n", "*1\r\n:1\r\n:2\r\n", "*99999999999\r\n:1\r\n"}) {
    Elements elements{"before"};
    CHECK_FALSE(split_elements(other, elements));
    CHECK(elements == Elements{"before"});
  }
}

TEST_CASE("reply view: of a reply cut short anywhere nothing is known") {
  for (const std::string reply :
       {"*2\r\n$3\r\nabc\r\n*1\r\n:1\r\n", "$3\r\nabc\r\n", ":15\r\n", "-ERR no\r\n", "_\r\n",
        "|1\r\n+a\r\n+b\r\n~1\r\n#t\r\n", "%1\r\n+a\r\n+b\r\n"}) {
    for (std::size_t size = 0; size < reply.size(); ++size) {
      const std::string own(reply, 0, size);
      Elements elements;
      CHECK_FALSE(split_elements(own, elements));
      CHECK(elements.empty());
      CHECK_FALSE(text_in(own).has_value());
      CHECK_FALSE(integer_in(own).has_value());
      CHECK_FALSE(is_null(own));
      CHECK_FALSE(is_error(own));
    }
  }
}

}  // namespace
}  // namespace crossfade::redis
