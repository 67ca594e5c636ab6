// Replies become plain data, whichever protocol says them.
#include "movement/reply_value.h"

#include <doctest/doctest.h>

#include <string>

namespace crossfade {

namespace {

using Type = ReplyValue::Type;

ReplyValue must(std::string_view bytes) {
  const auto value = read_reply(bytes);
  REQUIRE_MESSAGE(value.has_value(), bytes);
  return *value;
}

}  // namespace

TEST_CASE("reply value: every form of both protocols is read") {
  struct Form {
    std::string_view bytes;
    Type type;
    std::string_view text;
  };
  for (const Form& form : {
           Form{"+OK\r\n", Type::Text, "OK"},
           Form{"-ERR no such thing\r\n", Type::Error, "ERR no such thing"},
           Form{":-5\r\n", Type::Number, "-5"},
           Form{"$3\r\na\r\n\r\n", Type::Text, "a\r\n"},
           Form{"$0\r\n\r\n", Type::Text, ""},
           Form{"$-1\r\n", Type::Null, ""},
           Form{"*-1\r\n", Type::Null, ""},
           Form{"_\r\n", Type::Null, ""},
           Form{"#t\r\n", Type::Number, "1"},
           Form{"#f\r\n", Type::Number, "0"},
           Form{",1.5\r\n", Type::Double, "1.5"},
           Form{"(123456789012345678901\r\n", Type::Text, "123456789012345678901"},
           Form{"!5\r\nERR x\r\n", Type::Error, "ERR x"},
           Form{"=7\r\ntxt:abc\r\n", Type::Text, "abc"},
           Form{"=2\r\nab\r\n", Type::Text, "ab"},
       }) {
    const ReplyValue value = must(form.bytes);
    CHECK_MESSAGE(value.type == form.type, form.bytes);
    CHECK(value.text == form.text);
    CHECK(value.elements.empty());
  }
  CHECK(must("*2\r\n:1\r\n*1\r\n+a\r\n").elements[1].elements[0].text == "a");
  CHECK(must("*0\r\n").type == Type::List);
  CHECK(must("~1\r\n+a\r\n").type == Type::Set);
  CHECK(must(">2\r\n+a\r\n+b\r\n").type == Type::List);
  CHECK(must("%1\r\n+a\r\n:1\r\n").elements.size() == 2);
}

TEST_CASE("reply value: attributes are left out, wherever they stand") {
  CHECK(must("|1\r\n+ttl\r\n:3\r\n+OK\r\n").text == "OK");
  const ReplyValue list = must("*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:7\r\n|0\r\n:8\r\n");
  REQUIRE(list.elements.size() == 2);
  CHECK(list.elements[0].text == "7");
  CHECK(list.elements[1].text == "8");
}

TEST_CASE("reply value: what is not exactly one whole reply is none") {
  const std::string whole = "*2\r\n$3\r\nabc\r\n%1\r\n:1\r\n,2\r\n";
  must(whole);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(read_reply(whole.substr(0, size)).has_value());
  }
  for (const char* bytes : {"+a\r\n+b\r\n", "?\r\n", "$x\r\n", "*1000000000\r\n", "*-2\r\n"}) {
    CHECK_FALSE(read_reply(bytes).has_value());
  }
}

TEST_CASE("reply value: nesting is bounded") {
  const auto nested = [](unsigned depth) {
    std::string bytes;
    for (unsigned i = 0; i < depth; ++i) bytes += "*1\r\n";
    return bytes + ":1\r\n";
  };
  must(nested(kReplyDepthMax));
  CHECK_FALSE(read_reply(nested(kReplyDepthMax + 1)).has_value());
  std::string attributes;
  for (unsigned i = 0; i < 100'000; ++i) attributes += "|1\r\n:1\r\n";
  CHECK_FALSE(read_reply(attributes).has_value());
}

}  // namespace crossfade
