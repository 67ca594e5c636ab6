// Views of a server's messages, as PostgreSQL 15 sends them; builders against their views.
#include "protocols/postgres/backend.h"

#include <doctest/doctest.h>

#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

std::string_view body_of(const std::string& bytes) {
  return std::string_view(bytes).substr(kHeaderSize);
}
template <class Append, class... Args>
std::string built(Append append, Args... args) {
  std::string bytes;
  append(bytes, args...);
  return bytes;
}

TEST_CASE("backend: an error's fields are found, its severity untranslated") {
  const std::string body =
      raw("SFEHLER\0VERROR\0C42P01\0Mno table\0Ddetail\0Hhint\0P15\0Fparse.c\0L1\0Rf\0\0");
  const auto report = view_report(body);
  REQUIRE(report);
  CHECK(report->severity == "ERROR");
  CHECK(report->sqlstate == "42P01");
  CHECK(report->message == "no table");
  CHECK(report->detail == "detail");
  CHECK(report->hint == "hint");
  CHECK_FALSE(ends_connection(body));
  CHECK(ends_connection(raw("SFATAL\0C57P01\0\0")));
  CHECK(ends_connection(raw("SX\0VPANIC\0\0")));
  CHECK(ends_connection(raw("SX\0VFATAL\0C57P01\0Mcut sho")));
  CHECK_FALSE(ends_connection(raw("SX\0VERROR\0MFATAL\0VFATAL\0\0")));
  CHECK_FALSE(ends_connection({}));
  for (std::size_t size = 0; size < body.size(); ++size) {
    CHECK_FALSE(view_report(std::string_view(body).substr(0, size)));
  }
}

TEST_CASE("backend: what is built is read again") {
  const std::string error = built(append_error, ReportText{"ERROR", "57P01", "moved", "why", ""});
  CHECK(error == raw("E\0\0\0\x26SERROR\0VERROR\0C57P01\0Mmoved\0Dwhy\0\0"));
  CHECK(built(append_notice, ReportText{"WARNING", "01000", "m"})[0] == 'N');
  const std::string setting = built(append_setting, "TimeZone", "UTC");
  CHECK(view_setting(body_of(setting))->name == "TimeZone");
  CHECK(view_setting(body_of(setting))->value == "UTC");
  for (const auto status : {Transaction::Idle, Transaction::Open, Transaction::Failed}) {
    CHECK(view_ready(body_of(built(append_ready, status))) == status);
  }
  CHECK(built(append_ready, Transaction::Idle) == raw("Z\0\0\0\5I"));
  CHECK_FALSE(view_ready("X"));
  CHECK_FALSE(view_ready(""));
  CHECK(built(append_parse_complete) == raw("1\0\0\0\4"));
  CHECK(built(append_bind_complete) == raw("2\0\0\0\4"));
  CHECK(built(append_close_complete) == raw("3\0\0\0\4"));
}

TEST_CASE("backend: keys have 4 to 256 bytes") {
  for (const std::size_t size : {0u, 3u, 4u, 32u, 256u, 257u}) {
    const std::string bytes = built(append_backend_key, 77u, std::string(size, 'k'));
    const auto key = view_backend_key(body_of(bytes));
    CHECK(key.has_value() == (size >= 4 && size <= 256));
    if (key) {
      CHECK(key->pid == 77);
      CHECK(key->key == std::string(size, 'k'));
    }
  }
}

TEST_CASE("backend: every kind of authentication is known") {
  const auto view = [](const std::string& bytes) { return view_authentication(body_of(bytes)); };
  CHECK(view(built(append_authentication_ok))->kind == Auth::Ok);
  CHECK(built(append_authentication_ok) == raw("R\0\0\0\x08\0\0\0\0"));
  CHECK(view(built(append_authentication_cleartext))->kind == Auth::Cleartext);
  const std::array<char, 4> salt{'s', 'a', 'l', 't'};
  const std::string md5 = built(append_authentication_md5, salt);
  CHECK(view(md5)->kind == Auth::Md5);
  CHECK(view(md5)->data == "salt");
  const std::string_view offered[] = {"SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"};
  std::string sasl;
  append_authentication_sasl(sasl, offered);
  CHECK(view(sasl)->kind == Auth::Sasl);
  std::string_view mechanisms = view(sasl)->data;
  CHECK(next_mechanism(mechanisms) == "SCRAM-SHA-256-PLUS");
  CHECK(next_mechanism(mechanisms) == "SCRAM-SHA-256");
  CHECK_FALSE(next_mechanism(mechanisms));
  const std::string more = built(append_authentication_sasl_continue, "r=x");
  CHECK(view(more)->kind == Auth::SaslContinue);
  CHECK(view(more)->data == "r=x");
  CHECK(view(built(append_authentication_sasl_final, "v=x"))->kind == Auth::SaslFinal);
  CHECK_FALSE(view_authentication(raw("\0\0\0\5sal")));
  CHECK_FALSE(view_authentication(raw("\0\0\0")));
}

TEST_CASE("backend: columns come one by one, with types and formats") {
  const std::string body =
      raw("\0\2id\0\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\1"
          "name\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\0\0\0\x08\0\0");
  Columns columns(body);
  CHECK(columns.count() == 2);
  const Column id = *columns.next();
  CHECK(id.name == "id");
  CHECK(id.type == 23);
  CHECK(id.modifier == 0xffffffff);
  CHECK(id.format == 1);
  const Column name = *columns.next();
  CHECK(name.type == 25);
  CHECK(name.modifier == 8);
  CHECK_FALSE(columns.next());
  Columns cut(std::string_view(body).substr(0, 10));
  CHECK_FALSE(cut.next());
}

TEST_CASE("backend: types that are a server's own are told, as far as the message has come") {
  const std::string columns =
      raw("\0\2id\0\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\1"
          "mood\0\0\0\0\0\0\0\0\0\x40\x01\xff\xff\0\0\0\x08\0\0");
  CHECK(tells_user_type('T', columns));
  CHECK_FALSE(tells_user_type('T', std::string_view(columns).substr(0, 30)));
  CHECK(tells_user_type('t', raw("\0\2\0\0\0\x17\0\0\x40\0")));
  CHECK_FALSE(tells_user_type('t', raw("\0\2\0\0\0\x17\0\0\x3f\xff")));
  CHECK_FALSE(tells_user_type('D', columns));
}

TEST_CASE("backend: columns of a description are made those of no table, as far as it has come") {
  const std::string columns =
      raw("\0\2id\0\0\0\x40\0\0\1\0\0\0\x17\0\4\xff\xff\xff\xff\0\1"
          "mood\0\0\1\x40\0\0\2\0\0\x40\x01\xff\xff\0\0\0\x08\0\0");
  std::string made = columns;
  forget_tables(made);
  CHECK(made == raw("\0\2id\0\0\0\0\0\0\0\0\0\0\x17\0\4\xff\xff\xff\xff\0\1"
                    "mood\0\0\0\0\0\0\0\0\0\x40\x01\xff\xff\0\0\0\x08\0\0"));
  const std::size_t first = 2 + 3 + 18;
  for (std::size_t size = 0; size < columns.size(); ++size) {
    std::string part = columns.substr(0, size);
    forget_tables(part);
    CHECK(part == (size < first ? columns : made).substr(0, first).substr(0, size) +
                      (size > first ? columns.substr(first, size - first) : ""));
  }
}

TEST_CASE("backend: tags, notifications and the formats of COPY are found") {
  CHECK(view_command_tag(raw("INSERT 0 1\0")) == "INSERT 0 1");
  CHECK_FALSE(view_command_tag("INSERT"));
  const std::string note = raw("\0\0\0\7jobs\0go\0");
  CHECK(view_notification(note)->pid == 7);
  CHECK(view_notification(note)->channel == "jobs");
  CHECK(view_notification(note)->payload == "go");
  const std::string copy = raw("\1\0\2\0\1\0\1");
  CHECK(view_copy_format(copy)->overall == 1);
  CHECK(view_copy_format(copy)->columns.size() == 4);
  CHECK_FALSE(view_copy_format(raw("\1\0\2\0\1")));
  CHECK(view_negotiation(raw("\0\3\0\0\0\0\0\0"))->options.empty());
  CHECK_FALSE(view_negotiation(raw("\0\3\0\0\0\0\0\1")));
  CHECK_FALSE(
      view_negotiation(raw("\0\3\0\0\xff\xff\xff\xff"
                           "a\0")));
}

}  // namespace
}  // namespace crossfade::postgres
