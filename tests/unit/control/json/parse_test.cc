// JSON in and out: strict, with the place of what is wrong, and the same numbers back.
#include "control/json/parse.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "control/json/locate.h"
#include "control/json/write.h"

namespace crossfade {

namespace {

std::string reason_of(std::string_view text) {
  const auto parsed = parse_json(text);
  return parsed ? "it is valid" : parsed.error().reason;
}

std::string there_and_back(std::string_view text) {
  auto parsed = parse_json(text);
  return parsed ? to_text(*parsed) : parsed.error().reason;
}

bool is_given_twice(const std::string& reason) {
  return reason.find("is given twice") != reason.npos;
}

const std::vector<std::string> kValid = {
    R"({"a":[1,-2,3.5,true,false,null,"x"],"b":{"c":{}}})",
    R"([])",
    R"("é\u00e9\ud83d\ude00 \" \\ \/ \b \f \n \r \t")",
    "  \r\n\t 0 ",
    R"(-0)",
    R"(1e5)",
    R"(1E-5)",
    R"(0.05)",
    R"(18446744073709551615)",
    R"({"":""})",
};

}  // namespace

TEST_CASE("json: a valid document has no flaw, and every strict prefix of it that is not one has") {
  for (const std::string& text : kValid) {
    CAPTURE(text);
    CHECK(parse_json(text).ok());
    CHECK_FALSE(find_flaw(text, kJsonDepthMax).has_value());
    for (std::size_t size = 0; size < text.size(); ++size) {
      const std::string_view prefix = std::string_view(text).substr(0, size);
      CAPTURE(prefix);
      CHECK(parse_json(prefix).ok() == !find_flaw(prefix, kJsonDepthMax).has_value());
    }
  }
}

TEST_CASE(
    "json: parser and scanner agree on every text that differs from a valid one in one byte") {
  const std::string alphabet("{}[]:,\"\\0-.eE+u a\x01\x80\xff", 20);
  for (const std::string& text : kValid) {
    for (std::size_t at = 0; at < text.size(); ++at) {
      for (const char c : alphabet) {
        std::string changed = text;
        changed[at] = c;
        CAPTURE(changed);
        const std::string reason = reason_of(changed);
        const bool out_of_range = reason.find("malformed JSON: ") != reason.npos;
        const bool malformed = reason.find("malformed JSON at ") != reason.npos;
        CHECK((malformed || out_of_range) != (parse_json(changed).ok() || is_given_twice(reason)));
        CHECK(malformed == find_flaw(changed, kJsonDepthMax).has_value());
      }
    }
  }
}

TEST_CASE("json: a malformed document is refused with line and column") {
  CHECK(reason_of("") == "malformed JSON at line 1, column 1: expected a value");
  CHECK(reason_of("{\"a\":1,\n \"b\" 2}") == "malformed JSON at line 2, column 6: expected ':'");
  CHECK(reason_of("[1,2") == "malformed JSON at line 1, column 5: expected ',' or ']'");
  CHECK(reason_of("{\"a\":1}}") ==
        "malformed JSON at line 1, column 8: expected the end of the text");
  CHECK(reason_of("{'a':1}") ==
        "malformed JSON at line 1, column 2: expected a name in double quotes");
  CHECK(reason_of("{\"a\":01}") ==
        "malformed JSON at line 1, column 7: expected no digit after a leading zero");
  CHECK(reason_of("NaN") == "malformed JSON at line 1, column 1: expected a value");
  CHECK(reason_of("\"\xff\"") == "malformed JSON at line 1, column 2: expected UTF-8");
  CHECK(reason_of("\"\\ud800\"").find("surrogate pair") != std::string::npos);
}

TEST_CASE("json: what is said about a malformed document never quotes it") {
  CHECK(reason_of(R"({"password":"s3cret" "x"})").find("s3cret") == std::string::npos);
  CHECK(reason_of(R"({"password":"s3cret)").find("s3cret") == std::string::npos);
}

TEST_CASE("json: a name that is given twice is refused with its path") {
  CHECK(reason_of(R"({"a":{"b":[{"c":1,"c":2}]}})") == "a.b[0].c: is given twice");
  CHECK(reason_of(R"({"a":1,"a":1})") == "a: is given twice");
  // Escapes make no difference to what a name is.
  CHECK(reason_of(R"({"a":1,"\u0061":1})") == "a: is given twice");
}

TEST_CASE("json: nesting at the limit is read, one deeper is refused") {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  CHECK(parse_json(nested(kJsonDepthMax)).ok());
  CHECK_FALSE(parse_json(nested(kJsonDepthMax + 1)).ok());
  CHECK_FALSE(parse_json(nested(100'000)).ok());
  CHECK_FALSE(parse_json(std::string(100'000, '[')).ok());
}

TEST_CASE("json: numbers come back as they were written") {
  for (const char* text : {"0", "1", "-7", "0.05", "0.25", "1.0", "0.1", "1e-07", "123456789012",
                           "9223372036854775807", "18446744073709551615", "-9223372036854775808"}) {
    CAPTURE(text);
    CHECK(there_and_back(text) == text);
  }
  CHECK(there_and_back("1.50") == "1.5");
  CHECK_FALSE(parse_json("1e400").ok());
}

TEST_CASE("json: every double reads back as the same double") {
  for (double value = 1e-300; value < 1e300; value *= 1234.56789) {
    const std::string text = to_text(Json(value));
    CAPTURE(text);
    REQUIRE(parse_json(text).ok());
    CHECK(parse_json(text).value().number() == value);
  }
  CHECK(to_text(Json(std::nan(""))) == "null");
  CHECK(to_text(Json(std::numeric_limits<double>::infinity())) == "null");
}

TEST_CASE("json: every byte sequence is written as valid JSON") {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const std::string text = to_text(Json::object({{all, all}}));
  CHECK(parse_json(text).ok());
  CHECK(text.find('\n') == std::string::npos);
  CHECK(to_text(Json("\xc3\xa9 \xff")) == "\"\xc3\xa9 \xef\xbf\xbd\"");
  CHECK(to_text(Json(std::string_view("\0\x1f\"\\", 4))) == R"("\u0000\u001f\"\\")");
}

TEST_CASE("json: UTF-8 is judged as Unicode defines it") {
  CHECK(utf8_length("a") == 1);
  CHECK(utf8_length("\xc3\xa9") == 2);
  CHECK(utf8_length("\xe2\x82\xac") == 3);
  CHECK(utf8_length("\xf0\x9f\x98\x80") == 4);
  for (const std::string_view broken :
       {"", "\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "\xc3"}) {
    CHECK(utf8_length(broken) == 0);
  }
}

}  // namespace crossfade
