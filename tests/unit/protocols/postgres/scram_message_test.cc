// What both ends of SCRAM share: attributes are taken one by one, mechanisms can be held back.
#include "protocols/postgres/scram_message.h"

#include <doctest/doctest.h>

namespace crossfade::postgres {
namespace {

using std::string_literals::operator""s;

TEST_CASE("scram message: attributes are taken off one by one") {
  std::string_view left = "r=a=b,s=,i=1,";
  CHECK(take_value(left, 's') == std::nullopt);
  CHECK(take_value(left, 'r') == "a=b");
  CHECK(take_value(left) == "");
  CHECK(take_value(left, 'i') == "1");
  CHECK(left.empty());
  CHECK(take_value(left) == std::nullopt);
  for (std::string_view bad : {"r", "rx", "r,="}) CHECK(take_value(bad) == std::nullopt);
}

TEST_CASE("scram message: without -PLUS the other mechanisms stay, in order") {
  CHECK(without_plus("SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"s) == "SCRAM-SHA-256\0\0"s);
  CHECK(without_plus("A\0SCRAM-SHA-256-PLUS\0B\0\0"s) == "A\0B\0\0"s);
  CHECK(without_plus("A\0SCRAM-SHA-256-PLUS\0\0"s) == "A\0\0"s);
  CHECK(without_plus("SCRAM-SHA-256-PLUS\0\0"s) == "\0"s);
  for (const std::string& other : {"SCRAM-SHA-256\0\0"s, "XSCRAM-SHA-256-PLUS\0\0"s, "\0"s, ""s}) {
    CHECK(without_plus(other) == other);
  }
}

}  // namespace
}  // namespace crossfade::postgres
