// Views of a client's messages, whole and cut short; builders against the documented bytes.
#include "protocols/postgres/frontend.h"

#include <doctest/doctest.h>

#include "protocols/postgres/types.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

std::string_view body_of(const std::string& bytes) {
  return std::string_view(bytes).substr(kHeaderSize);
}

TEST_CASE("frontend: what is built is what the documentation says") {
  std::string bytes;
  append_query(bytes, "SELECT 1");
  append_sync(bytes);
  append_flush(bytes);
  append_terminate(bytes);
  append_describe(bytes, kStatement, "s1");
  append_close(bytes, kPortal, "");
  append_copy_fail(bytes, "why");
  append_password(bytes, "secret");
  const std::uint32_t types[] = {23, 0};
  append_parse(bytes, "s1", "SELECT $1, $2", types);
  append_sasl_initial(bytes, "SCRAM-SHA-256", "n,,n=,r=x");
  append_sasl_response(bytes, "c=biws");
  CHECK(bytes == raw("Q\0\0\0\x0dSELECT 1\0"
                     "S\0\0\0\4"
                     "H\0\0\0\4"
                     "X\0\0\0\4"
                     "D\0\0\0\x08Ss1\0"
                     "C\0\0\0\6P\0"
                     "f\0\0\0\x08why\0"
                     "p\0\0\0\x0bsecret\0"
                     "P\0\0\0\x1fs1\0SELECT $1, $2\0\0\2\0\0\0\x17\0\0\0\0"
                     "p\0\0\0\x1fSCRAM-SHA-256\0\0\0\0\x09n,,n=,r=x"
                     "p\0\0\0\x0a"
                     "c=biws"));
}

TEST_CASE("frontend: views find the fields of whole messages") {
  CHECK(view_query(raw("SELECT 1\0")) == "SELECT 1");
  const std::string parse = raw("s\0SELECT $1\0\0\2\0\0\0\x17\0\0\0\x19");
  CHECK(view_parse(parse)->name == "s");
  CHECK(view_parse(parse)->text == "SELECT $1");
  CHECK(view_parse(parse)->type_count() == 2);
  CHECK(view_parse(parse)->type(0) == 23);
  CHECK(view_parse(parse)->type(1) == 25);
  const std::string bind = raw("portal\0s\0\0\1\0\0\0\1");
  CHECK(view_bind(bind)->portal == "portal");
  CHECK(view_bind(bind)->statement == "s");
  CHECK(view_bind_count(bind) == 1);
  using Texts = std::vector<std::string_view>;
  const std::string values = raw("\0\3\0\0\0\1a\xff\xff\xff\xff\0\0\0\2bc\0\0");
  CHECK(view_bind_texts(raw("\0\0\0\0") + values) == Texts{"a", "bc"});
  CHECK(view_bind_texts(raw("\0\0\0\1\0\1") + values) == Texts{});
  CHECK(view_bind_texts(raw("\0\0\0\3\0\1\0\0\0\0") + values) == Texts{"bc"});
  CHECK_FALSE(view_bind_texts(raw("\0\0\0\0") + values.substr(0, values.size() - 4)));
  const std::string formatted = raw("\0\0\0\3\0\1\0\0\0\0") + values;
  const auto both = view_bind_parameters(formatted);
  REQUIRE(both);
  CHECK((*both)[0].binary);
  CHECK((*both)[0].value == "a");
  CHECK_FALSE((*both)[2].binary);
  CHECK(both->size() == 3);
  CHECK_FALSE(view_bind_parameters(raw("\0\0\0\0") + values.substr(0, values.size() - 4)));
  CHECK(view_bind_parameter(formatted, 1)->value == (*both)[1].value);
  CHECK_FALSE(view_bind_parameter(formatted, both->size()));
  CHECK_FALSE(view_bind_parameter(raw("\0\0\0\0") + values.substr(0, values.size() - 4), 0));
  CHECK(view_bind_count(raw("\0\0\0\2\0\1\0\1\0\3")) == 3);
  CHECK(view_subject(raw("Ss\0"))->kind == kStatement);
  CHECK(view_subject(raw("Ps\0"))->name == "s");
  CHECK(view_execute(raw("p\0\0\0\0\x0a"))->portal == "p");
  CHECK(view_execute(raw("p\0\0\0\0\x0a"))->rows_max == 10);
  CHECK(view_function_call(raw("\0\0\1\0rest")) == 256);
  CHECK(view_copy_fail(raw("why\0")) == "why");
  CHECK(view_password(raw("secret\0")) == "secret");
  CHECK(view_sasl_initial(raw("M\0\0\0\0\2ab"))->mechanism == "M");
  CHECK(view_sasl_initial(raw("M\0\0\0\0\2ab"))->response == "ab");
  CHECK_FALSE(view_sasl_initial(raw("M\0\xff\xff\xff\xff"))->response);
}

TEST_CASE("frontend: a message cut short, or with more behind, is none") {
  const auto never = [](const std::string& whole, auto view) {
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK_FALSE(view(whole.substr(0, size)));
    CHECK(view(whole));
    CHECK_FALSE(view(whole + 'x'));
  };
  never(raw("SELECT 1\0"), [](const std::string& s) { return view_query(s).has_value(); });
  never(raw("s\0SELECT\0\0\1\0\0\0\x17"),
        [](const std::string& s) { return view_parse(s).has_value(); });
  never(raw("Ss\0"), [](const std::string& s) { return view_subject(s).has_value(); });
  never(raw("p\0\0\0\0\1"), [](const std::string& s) { return view_execute(s).has_value(); });
  never(raw("M\0\0\0\0\2ab"),
        [](const std::string& s) { return view_sasl_initial(s).has_value(); });
  CHECK_FALSE(view_sasl_initial(raw("M\0\xff\xff\xff\xfe")));
}

TEST_CASE("frontend: the head of a long message is enough for its names") {
  std::string bytes;
  append_parse(bytes, "name", std::string(1000, 'x'));
  CHECK(view_parse_name(body_of(bytes).substr(0, 5)) == "name");
  CHECK_FALSE(view_parse_name(body_of(bytes).substr(0, 4)));
  const std::string bind = raw("p\0s\0") + std::string(100, 'v');
  CHECK(view_bind(bind.substr(0, 4))->statement == "s");
  CHECK_FALSE(view_bind(bind.substr(0, 3)));
  const std::string counted = raw("p\0s\0\0\1\0\0\0\7");
  CHECK(view_bind_count(counted + "more") == 7);
  for (std::size_t size = 0; size < counted.size(); ++size)
    CHECK_FALSE(view_bind_count(counted.substr(0, size)));
}

}  // namespace
}  // namespace crossfade::postgres
