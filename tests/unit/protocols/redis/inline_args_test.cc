// Inline arguments: quotes and escapes.
#include "protocols/redis/inline_args.h"

#include <doctest/doctest.h>

#include <optional>
#include <vector>

namespace crossfade::redis {
namespace {

using Words = std::vector<std::string>;

std::optional<Words> split(std::string_view line) {
  Words words;
  std::size_t at = 0;
  while (true) {
    std::string word;
    switch (next_inline_arg(line, at, word)) {
      case Inline::Argument:
        words.push_back(word);
        break;
      case Inline::End:
        return words;
      case Inline::Unbalanced:
        return std::nullopt;
    }
  }
}

TEST_CASE("inline arguments: blanks separate, however many") {
  CHECK(split("") == Words{});
  CHECK(split(" \t \v\f ") == Words{});
  CHECK(split("a") == Words{"a"});
  CHECK(split("  a\tb \r c ") == Words{"a", "b", "c"});
  CHECK(split("a\vb") == Words{"a\vb"});  // a vertical tab ends no argument, though it begins none
  CHECK(split("a \vb") == Words{"a", "b"});
}

TEST_CASE("inline arguments: double quotes know escapes") {
  CHECK(split(R"("")") == Words{""});
  CHECK(split(R"("a b" c)") == Words{"a b", "c"});
  CHECK(split(R"("\n\r\t\b\a\\\"\q")") == Words{"\n\r\t\b\a\\\"q"});
  CHECK(split(R"("\x41\x7a\xFF")") == Words{"Az\xff"});
  CHECK(split(R"("\x4" "\xzz")") == Words{"x4", "xzz"});
  CHECK(split(R"("'")") == Words{"'"});
}

TEST_CASE("inline arguments: single quotes know only the escaped quote") {
  CHECK(split("''") == Words{""});
  CHECK(split(R"('a "b" \n')") == Words{R"(a "b" \n)"});
  CHECK(split(R"('it\'s')") == Words{"it's"});
}

TEST_CASE("inline arguments: outside of quotes a backslash is a backslash") {
  CHECK(split(R"(\x41 a\"b")") == Words{R"(\x41)", R"(a\b)"});
}

TEST_CASE("inline arguments: a quote may open inside an argument, and its end ends the argument") {
  CHECK(split(R"(a"b c" d)") == Words{"ab c", "d"});
  CHECK(split(R"(a'b' "c")") == Words{"ab", "c"});
}

TEST_CASE("inline arguments: open quotes and text behind closing ones are unbalanced") {
  for (const char* line : {R"(")", R"(')", R"("a)", R"('a)", R"("a"b)", R"('a'b)", R"("a""b")",
                           R"("\)", R"("\")", R"('\')", R"(a "b)"}) {
    CHECK_MESSAGE(!split(line), line);
  }
}

}  // namespace
}  // namespace crossfade::redis
