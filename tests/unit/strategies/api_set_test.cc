// Which requests move: the first template that matches says so, and nothing else.
#include "strategies/api_set.h"

#include <doctest/doctest.h>

#include <string>
#include <variant>

namespace crossfade {
namespace {

std::string resp(const std::vector<std::string>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return bytes;
}

// With the first `size` bytes of it.
bool moves(const ApiSet& set, const std::string& bytes, std::size_t size) {
  redis::RequestCutter cutter;
  const std::string_view arrived = std::string_view(bytes).substr(0, size);
  static_cast<void>(cutter.advance(arrived));
  return set.moves(cutter, arrived);
}
bool moves(const ApiSet& set, const std::vector<std::string>& words) {
  const std::string bytes = resp(words);
  return moves(set, bytes, bytes.size());
}

TEST_CASE("api set: a request moves when the first template that it matches does") {
  const ApiSet set({{"GET user:{{id}}:secret", false},
                    {"GET user:{{id}}", true},
                    {"GET {{any}}", false},
                    {"HGET user:{{id}} {{field}}", true}});
  CHECK(moves(set, {"GET", "user:7"}));
  CHECK(moves(set, {"get", "user:7"}));
  CHECK(moves(set, {"HGET", "user:7", "name"}));
  CHECK_FALSE(moves(set, {"GET", "user:7:secret"}));
  CHECK_FALSE(moves(set, {"GET", "order:7"}));
  CHECK_FALSE(moves(set, {"MGET", "user:7"}));
  CHECK_FALSE(moves(set, {"GET", "user:"}));
  CHECK_FALSE(moves(ApiSet({}), {"GET", "user:7"}));
}

TEST_CASE("api set: a request is of the api whose template has it, whether that moves or not") {
  const ApiSet set({{"GET user:{{id}}:secret", false, {}, {}, "secrets"},
                    {"GET user:{{id}}", true, {}, {}, "users"},
                    {"GET {{any}}", false, {}, {}, "rest"},
                    {"SET user:{{id}} {{value}}", true, {}, {}, "users"}});
  const auto api_of = [&](const std::vector<std::string>& words) -> std::string {
    redis::RequestCutter cutter;
    const std::string bytes = resp(words);
    static_cast<void>(cutter.advance(bytes));
    const auto entry = set.entry_of(cutter, bytes);
    return entry ? set.names().names()[set.names().of_entry(*entry)] : "";
  };
  CHECK(set.names().names() == std::vector<std::string>{"secrets", "users", "rest"});
  CHECK(api_of({"GET", "user:7"}) == "users");
  CHECK(api_of({"SET", "user:7", "x"}) == "users");
  CHECK(api_of({"GET", "user:7:secret"}) == "secrets");
  CHECK(api_of({"GET", "order:7"}) == "rest");
  CHECK(api_of({"MGET", "user:7"}).empty());
  CHECK(set.names().number_of("rest") == 2);
  CHECK_FALSE(set.names().number_of("none").has_value());
}

TEST_CASE("api set: of an inline request, as of any other") {
  const ApiSet set({{"GET user:{{id}}", true}});
  const std::string bytes = "get user:7\r\n";
  CHECK(moves(set, bytes, bytes.size()));
}

TEST_CASE("api set: one that has not come far enough to be told belongs to no api") {
  const ApiSet set({{"SET user:{{id}} {{value}}", true}});
  const std::string bytes = resp({"SET", "user:7", std::string(100, 'x')});
  const std::size_t value = bytes.find("$100");
  for (std::size_t size = 0; size < bytes.find("user:7") + 8; ++size) {
    CAPTURE(size);
    CHECK_FALSE(moves(set, bytes, size));
  }
  // A field takes any value: its size is enough.
  CHECK(moves(set, bytes, value + 20));
  CHECK(moves(set, bytes, bytes.size()));
}

}  // namespace
}  // namespace crossfade
