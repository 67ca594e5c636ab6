// Key patterns: the first that a key fits, as asking each of them in turn would find.
#include "protocols/redis/key_patterns.h"

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "protocols/redis/argument.h"

namespace crossfade::redis {
namespace {

std::vector<Template::Argument> patterns(const std::vector<std::string>& texts) {
  std::vector<Template::Argument> all;
  for (const std::string& text : texts) all.push_back(*cut_text(text));
  return all;
}

using Number = std::optional<std::size_t>;

TEST_CASE("key patterns: the first that fits has the key") {
  const KeyPatterns keys(patterns({"user:{{id}}:secret", "user:root", "user:{{id}}", "{{any}}:log",
                                   "{{a}}-{{b}}", "user:{{x}}"}));
  CHECK(keys.match("user:7:secret") == Number(0));
  CHECK(keys.match("user::secret") == Number(2));
  CHECK(keys.match("user:root") == Number(1));
  CHECK(keys.match("user:roots") == Number(2));
  CHECK(keys.match("user:7:log") == Number(2));
  CHECK(keys.match("order:log") == Number(3));
  CHECK(keys.match("a-b") == Number(4));
  CHECK_FALSE(keys.match("a-"));
  CHECK_FALSE(keys.match(":log"));
  CHECK_FALSE(keys.match("user:"));
  CHECK_FALSE(keys.match(""));
  CHECK_FALSE(KeyPatterns({}).match("user:7"));
}

TEST_CASE("key patterns: as asking one after the other") {
  std::mt19937 dice(7);
  const auto letters = [&](std::size_t most) {
    std::string text(dice() % (most + 1), ' ');
    for (char& c : text) c = "ab:"[dice() % 3];
    return text;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> texts;
    for (auto i = dice() % 12; i > 0; --i) {
      std::string text = letters(3);
      for (auto fields = dice() % 3; fields > 0; --fields) {
        if (text.ends_with("}}")) text += ':';
        text += "{{f" + std::to_string(fields) + "}}" + letters(2);
      }
      if (!text.empty()) texts.push_back(text);
    }
    const auto all = patterns(texts);
    const KeyPatterns keys(all);
    for (int i = 0; i < 50; ++i) {
      const std::string key = letters(8);
      Number expected;
      for (std::size_t n = 0; n < all.size() && !expected; ++n) {
        if (split(all[n], key, [](std::size_t, std::string_view) {})) expected = n;
      }
      CAPTURE(key);
      CHECK(keys.match(key) == expected);
    }
  }
}

}  // namespace
}  // namespace crossfade::redis
