// The user that a request's template has a field for.
#include "strategies/user_fields.h"

#include <doctest/doctest.h>

namespace crossfade {

namespace {

std::string bytes_of(const std::vector<std::string>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    bytes += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  }
  return bytes;
}

std::string user(const UserFields& fields, const std::vector<std::string>& words) {
  const std::string bytes = bytes_of(words);
  redis::RequestCutter cutter;
  (void)cutter.advance(bytes);
  const auto value = fields.user_of(cutter, bytes);
  return value ? std::string(*value) : "none";
}

}  // namespace

TEST_CASE("user fields: the field of the first template that matches, wherever it stands") {
  const UserFields fields("user_id",
                          {"GET cart:{{cart}}:{{user_id}}", "HGET {{key}} {{user_id}}",
                           "SET session:{{id}} {{user_id}}", "GET cart:{{rest}}", "GET {{any}}"});
  CHECK(user(fields, {"GET", "cart:1:42"}) == "42");
  CHECK(user(fields, {"hget", "users", "7"}) == "7");
  CHECK(user(fields, {"SET", "session:a", "9"}) == "9");
  CHECK(user(fields, {"GET", "cart:1"}) == "none");
  CHECK(user(fields, {"GET", "other"}) == "none");
  CHECK(user(fields, {"DEL", "cart:1:42"}) == "none");
}

TEST_CASE("user fields: a template without the field takes its requests from those behind it") {
  const UserFields fields("u", {"GET a:{{x}}", "GET {{u}}:{{x}}"});
  CHECK(user(fields, {"GET", "a:1"}) == "none");
  CHECK(user(fields, {"GET", "b:1"}) == "b");
  CHECK(user(UserFields("u", {}), {"GET", "a"}) == "none");
}

}  // namespace crossfade
