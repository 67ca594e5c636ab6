// Templates of Redis requests: what they say, and what is refused.
#include "protocols/redis/template.h"

#include <doctest/doctest.h>

namespace crossfade::redis {
namespace {

using What = TextPiece::What;

std::string refusal(std::string_view query) {
  const auto read = read_template(query);
  return read ? "accepted" : read.error().reason;
}

TEST_CASE("redis template: words in any case, arguments in pieces, fields in order") {
  const auto read = read_template("Set user:{{id}}:{{part.1}} {{value}} 'EX' 10");
  REQUIRE(read);
  const Template& form = read.value();
  REQUIRE(form.arguments.size() == 5);
  CHECK(form.words == 1);
  CHECK(form.arguments[0] == Template::Argument{{What::Literal, "set"}});
  CHECK(form.arguments[1] == Template::Argument{{What::Literal, "user:"},
                                                {What::Field, "id"},
                                                {What::Literal, ":"},
                                                {What::Field, "part.1"}});
  CHECK(form.arguments[2] == Template::Argument{{What::Field, "value"}});
  CHECK(form.arguments[3] == Template::Argument{{What::Literal, "EX"}});
  CHECK(form.fields == std::vector<std::string>{"id", "part.1", "value"});
  CHECK_FALSE(form.repeats);
}

TEST_CASE("redis template: a subcommand is a word of the command, other arguments are not") {
  CHECK(read_template("OBJECT Encoding {{key}}").value().arguments[1][0].text == "encoding");
  CHECK(read_template("OBJECT Encoding {{key}}").value().words == 2);
  CHECK(read_template("GET Encoding").value().arguments[1][0].text == "Encoding");
  CHECK(read_template("my.command Sub {{key}}").value().arguments[1][0].text == "Sub");
}

TEST_CASE("redis template: of commands that only may write nobody knows the kind for certain") {
  const auto certain = [](std::string_view query) {
    return certain_kind(read_template(query).value());
  };
  CHECK(certain("GET {{key}}") == Kind::Read);
  CHECK(certain("SET {{key}} {{value}}") == Kind::Write);
  CHECK(certain("OBJECT ENCODING {{key}}") == Kind::Read);
  for (const char* query :
       {"SORT {{key}}", "EVAL {{script}} 0", "PUBLISH {{channel}} m", "MY.CALL x"}) {
    CHECK_FALSE(certain(query));
  }
}

TEST_CASE("redis template: a field within a hash tag, and within two pairs of braces") {
  const auto tag = read_template("GET {user:{{id}}}:name");
  REQUIRE(tag);
  CHECK(tag.value().arguments[1] == Template::Argument{{What::Literal, "{user:"},
                                                       {What::Field, "id"},
                                                       {What::Literal, "}:name"}});
  const auto only = read_template("GET {{{id}}}");
  REQUIRE(only);
  CHECK(only.value().arguments[1] ==
        Template::Argument{{What::Literal, "{"}, {What::Field, "id"}, {What::Literal, "}"}});
}

TEST_CASE("redis template: a field may stand in several arguments, not twice in one") {
  CHECK(read_template("LMOVE a:{{id}} b:{{id}} LEFT RIGHT").value().repeats);
  CHECK(refusal("GET {{id}}:{{id}}") == "has field 'id' twice in one argument");
}

TEST_CASE("redis template: what says nothing, or not enough, is refused with its reason") {
  CHECK(refusal("") == "is empty");
  CHECK(refusal("  ") == "is empty");
  CHECK(refusal("{{command}} x") == "must begin with a command, not with a field");
  CHECK(refusal("CLIENT {{what}}") == "has a field in place of a subcommand");
  CHECK(refusal("GET 'x") == "has a quote that does not end, or ends in a word");
  CHECK(refusal("GET user:{{id") == "has \"{{\" without \"}}\"");
  CHECK(refusal("GET {{}}").starts_with("has a field whose name is not 1 to 64 letters"));
  CHECK(refusal("GET {{a b}}") == "has \"{{\" without \"}}\"");
  CHECK(refusal("GET {{" + std::string(65, 'n') + "}}").starts_with("has a field whose name"));
  CHECK(refusal("GET {{a}}{{b}}").starts_with("has two fields without anything between them"));
  CHECK(refusal("GET x\nGET y") == "must be one line, without zero bytes");
  CHECK(refusal("GET " + std::string(kTemplateMax, 'x')) == "is longer than 16384 bytes");
  std::string many = "DEL";
  for (int i = 0; i < 300; ++i) many += " k";
  CHECK(refusal(many) == "has more than 256 arguments");
}

TEST_CASE("redis template: what is not certainly a read is a write") {
  CHECK(kind_of(read_template("get {{key}}").value()) == Kind::Read);
  CHECK(kind_of(read_template("OBJECT ENCODING {{key}}").value()) == Kind::Read);
  CHECK(kind_of(read_template("SET {{key}} x").value()) == Kind::Write);
  CHECK(kind_of(read_template("my.command {{key}}").value()) == Kind::Write);
  CHECK(kind_of(read_template("PUBLISH {{channel}} x").value()) == Kind::Write);
}

TEST_CASE("redis template: its keys are where the built-in commands say") {
  const auto keys = [](const char* query) { return key_arguments(read_template(query).value()); };
  using Places = std::vector<std::size_t>;
  CHECK(keys("GET user:{{id}}") == Places{1});
  CHECK(keys("MSET a:{{x}} {{v}} b:{{y}} {{w}}") == Places{1, 3});
  CHECK(keys("EVAL {{script}} 2 a b {{x}}") == Places{3, 4});
  CHECK(keys("SORT {{key}} STORE {{to}}") == Places{1, 3});
  CHECK(keys("XREAD STREAMS a b 0 0") == Places{2, 3});
  CHECK(keys("OBJECT ENCODING {{key}}") == Places{2});
  CHECK(keys("PING") == Places{});
  CHECK(keys("EVAL {{script}} 0") == Places{});
  CHECK_FALSE(keys("EVAL {{script}} {{count}} a"));
  CHECK_FALSE(keys("JSON.GET {{key}}"));
}

}  // namespace
}  // namespace crossfade::redis
