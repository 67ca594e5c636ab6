// What people read of the answers.
#include "client/text_table.h"

#include <doctest/doctest.h>

#include <array>

#include "control/json/parse.h"

namespace crossfade {

namespace {

Json json(const char* text) { return *parse_json(text); }

}  // namespace

TEST_CASE("a table: columns are as wide as their widest words, and no line ends with blanks") {
  static constexpr std::array kColumns = {
      Column{"ID", "id"}, Column{"ADDRESS", "config.host,config.port"}, Column{"NOTE", "note"}};
  const Json elements = json(R"([{"id":"a","config":{"host":"127.0.0.1","port":6379},"note":"x"},
                                 {"id":"long one","config":{"host":"h"}},
                                 {"id":"zürich","config":{"host":"h","port":1},"note":true}])");
  CHECK(table_of(kColumns, elements) ==
        "ID        ADDRESS         NOTE\n"
        "a         127.0.0.1:6379  x\n"
        "long one  h:-             -\n"
        "zürich    h:1             yes\n");
  CHECK(table_of(kColumns, Json::array()) == "ID  ADDRESS  NOTE\n");
  CHECK(table_of(kColumns, Json()) == "ID  ADDRESS  NOTE\n");
}

TEST_CASE("details: each member is named by the path that sets it") {
  CHECK(details_of(json(R"({"id":"m","strategy":{"type":"canary","read_percentage":0.25},
                            "apis":[],"tags":["a","b"],"interlays":[{"id":"i"}],"none":null,
                            "empty":{}})")) ==
        "id                        m\n"
        "strategy.type             canary\n"
        "strategy.read_percentage  0.25\n"
        "apis                      -\n"
        "tags                      a, b\n"
        "interlays[0].id           i\n"
        "none                      -\n"
        "empty                     {}\n");
}

TEST_CASE("control characters in values: none reaches the terminal") {
  const Json value = json("\"a\\u001b[2Jb\\nc\\u007f\"");
  CHECK(plain(&value) == "a?[2Jb?c?");
}

}  // namespace crossfade
