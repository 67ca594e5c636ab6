// What a session holds: only what was answered, in order, and within its limit.
#include "protocols/postgres/session_state.h"

#include <doctest/doctest.h>

#include "protocols/postgres/frontend.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

// A session whose messages get the ids 1, 2, …
class Session {
 public:
  explicit Session(std::size_t bytes_max = kStatementsMaxDefault) : state(bytes_max) {}

  std::uint64_t send(const std::string& bytes, std::size_t here = SIZE_MAX) {
    const auto first = std::string_view(bytes).substr(0, here);
    state.sent(++id_, {bytes[0], bytes.size(), 0, first});
    return id_;
  }
  std::uint64_t parse(const std::string& name, const std::string& text) {
    std::string bytes;
    append_parse(bytes, name, text);
    return send(bytes);
  }
  std::uint64_t close(char kind, const std::string& name) {
    std::string bytes;
    append_close(bytes, kind, name);
    return send(bytes);
  }
  std::uint64_t bind(const std::string& portal) {
    return send(message('B', portal + raw("\0s\0")));
  }
  std::uint64_t query() { return send(message('Q', raw("SELECT 1\0"))); }
  std::uint64_t sync() { return send(message('S')); }

  SessionState state;

 private:
  std::uint64_t id_ = 0;
};

std::string parse_message(const std::string& name, const std::string& text) {
  std::string bytes;
  append_parse(bytes, name, text);
  return bytes;
}

TEST_CASE("session state: a Bind means the statement that was parsed last") {
  Session session;
  CHECK_FALSE(session.state.meaning("s"));
  session.state.answered(session.parse("s", "SELECT 1"), '1', {});
  CHECK(session.state.meaning("s")->message == parse_message("s", "SELECT 1"));
  CHECK(session.state.meaning("s")->facts == nullptr);
  session.close('S', "s");
  session.parse("s", "SELECT 2");
  session.parse("other", "SELECT 3");
  CHECK(session.state.meaning("s")->message == parse_message("s", "SELECT 2"));
}

TEST_CASE("session state: a statement is there once its Parse is answered, with its own bytes") {
  Session session;
  const auto id = session.parse("s", "SELECT 1");
  CHECK(session.state.statements().empty());
  session.state.answered(id, '1', {});
  CHECK(session.state.statements().size() == 1);
  CHECK(session.state.find("s")->message == parse_message("s", "SELECT 1"));
  const auto unnamed = session.parse("", "SELECT 2");
  session.state.answered(unnamed, '1', {});
  CHECK(session.state.unnamed()->message == parse_message("", "SELECT 2"));
  CHECK(session.state.kept() == Kept::All);
}

TEST_CASE("session state: what fails, or is discarded behind an error, leaves nothing") {
  Session session;
  const auto failing = session.parse("a", "SELEC");
  session.parse("b", "SELECT 1");
  session.parse("", "SELECT 1");
  session.close(kStatement, "x");
  const auto sync = session.sync();
  session.state.answered(failing, 'E', {});
  session.state.answered(sync, 'Z', "I");
  CHECK(session.state.statements().empty());
  CHECK_FALSE(session.state.unnamed());
  CHECK(session.state.bytes() == 0);
}

TEST_CASE("session state: the unnamed statement ends with a failed one, and with any Query") {
  Session session;
  session.state.answered(session.parse("", "SELECT 1"), '1', {});
  session.state.answered(session.parse("", "SELEC"), 'E', {});
  CHECK_FALSE(session.state.unnamed());
  session.state.answered(session.parse("", "SELECT 1"), '1', {});
  session.state.answered(session.query(), 'T', {});
  CHECK_FALSE(session.state.unnamed());
  const auto parse = session.parse("", "SELECT 2");
  const auto query = session.query();
  session.state.answered(parse, '1', {});
  CHECK(session.state.unnamed());
  session.state.answered(query, 'E', {});
  CHECK_FALSE(session.state.unnamed());
  CHECK(session.state.bytes() == 0);
}

TEST_CASE("session state: Close and DEALLOCATE take effect in the order of answers") {
  Session session;
  session.state.answered(session.parse("a", "SELECT 1"), '1', {});
  const auto close = session.close(kStatement, "a");
  const auto again = session.parse("a", "SELECT 2");
  session.state.answered(close, '3', {});
  CHECK(session.state.statements().empty());
  session.state.answered(again, '1', {});
  CHECK(session.state.statements().at("a").message == parse_message("a", "SELECT 2"));
  session.state.answered(session.close(kStatement, "unknown"), '3', {});
  CHECK(session.state.statements().size() == 1);
  for (const char* tag : {"DEALLOCATE ALL", "DISCARD ALL"}) {
    session.state.answered(session.parse("b", "SELECT 1"), '1', {});
    const auto query = session.query();
    const auto later = session.parse("c", "SELECT 3");
    session.state.answered(query, 'C', std::string_view(tag, std::string_view(tag).size() + 1));
    CHECK(session.state.statements().empty());
    session.state.answered(later, '1', {});
    CHECK(session.state.statements().size() == 1);
  }
  session.state.dropped("c");
  CHECK(session.state.bytes() == 0);
}

TEST_CASE("session state: what SQL prepares and drops is told") {
  Session session;
  session.state.prepared("p", {"Q…"});
  CHECK(session.state.statements().at("p").message == "Q…");
  session.state.prepared("p", {"Q2"});
  CHECK(session.state.statements().at("p").message == "Q2");
  session.state.dropped("p");
  session.state.dropped("p");
  CHECK(session.state.statements().empty());
  CHECK(session.state.bytes() == 0);
}

TEST_CASE("session state: named portals end with Close and with the transaction") {
  Session session;
  session.state.answered(session.bind("p"), '2', {});
  session.state.answered(session.bind("q"), '2', {});
  session.state.answered(session.bind(""), '2', {});
  CHECK(session.state.portals() == 2);
  session.state.answered(session.close(kPortal, "p"), '3', {});
  CHECK_FALSE(session.state.has_portal("p"));
  session.state.answered(session.sync(), 'Z', "T");
  CHECK(session.state.has_portal("q"));
  CHECK(session.state.transaction() == Transaction::Open);
  session.state.answered(session.sync(), 'Z', "I");
  CHECK(session.state.portals() == 0);
  CHECK(session.state.transaction() == Transaction::Idle);
  CHECK(session.state.bytes() == 0);
}

TEST_CASE("session state: a segment is open from its first message to its Sync or Query") {
  Session session;
  CHECK(session.state.segment() == Segment::Closed);
  session.parse("", "SELECT 1");
  CHECK(session.state.segment() == Segment::Open);
  session.sync();
  CHECK(session.state.segment() == Segment::Closed);
  CHECK(session.state.segments() == 1);
  session.send(message('H'));
  session.send(message('d'));
  CHECK(session.state.segment() == Segment::Closed);
  for (const char type : {'D', 'E'}) {
    session.send(message(type));
    CHECK(session.state.segment() == Segment::Open);
    session.query();
    CHECK(session.state.segment() == Segment::Closed);
  }
  CHECK(session.state.segments() == 3);
}

TEST_CASE("session state: the limit holds, and it is said when something was lost") {
  const std::string text(1000, 'x');
  for (const std::size_t bytes_max : {500u, 1'500u, 3'000u, 10'000u}) {
    Session session(bytes_max);
    for (int i = 0; i < 20; ++i) {
      session.state.answered(session.parse("s" + std::to_string(i), text), '1', {});
      CHECK(session.state.bytes() <= bytes_max);
    }
    CHECK(session.state.kept() == Kept::NotAll);
    const auto query = session.query();
    session.state.answered(query, 'C', raw("DISCARD ALL\0"));
    CHECK(session.state.kept() == Kept::All);
    CHECK(session.state.bytes() == 0);
  }
}

TEST_CASE(
    "session state: pipelined messages beyond the limit are lost only when they take effect") {
  Session session(500);
  std::vector<std::uint64_t> ids;
  for (int i = 0; i < 10; ++i) ids.push_back(session.parse("s" + std::to_string(i), "SELECT 1"));
  CHECK(session.state.bytes() <= 500);
  session.state.answered(ids[0], '1', {});
  CHECK(session.state.statements().size() == 1);
  CHECK(session.state.kept() == Kept::All);
  session.state.answered(ids.back(), '1', {});
  CHECK(session.state.kept() == Kept::NotAll);
}

TEST_CASE(
    "session state: a Parse that is not whole is lost under its name, the unnamed by the next") {
  Session session;
  const std::string long_one = parse_message("s", std::string(100, 'x'));
  session.state.answered(session.send(long_one, 50), '1', {});
  CHECK(session.state.statements().empty());
  CHECK(session.state.kept() == Kept::NotAll);
  session.state.dropped_all();
  const std::string unnamed = parse_message("", std::string(100, 'x'));
  session.state.answered(session.send(unnamed, 50), '1', {});
  CHECK(session.state.kept() == Kept::NotAll);
  session.state.answered(session.parse("", "SELECT 1"), '1', {});
  CHECK(session.state.kept() == Kept::All);
}

TEST_CASE("session state: what is under way about a name is the last of it") {
  Session session;
  using Underway = SessionState::Underway;
  CHECK(session.state.underway("s") == Underway::Nothing);
  const auto made = session.parse("s", "SELECT 1");
  CHECK(session.state.underway("s") == Underway::Made);
  CHECK(session.state.underway("t") == Underway::Nothing);
  const auto closed = session.close(kStatement, "s");
  session.close(kPortal, "t");
  CHECK(session.state.underway("s") == Underway::Closed);
  CHECK(session.state.underway("t") == Underway::Nothing);
  session.state.answered(made, '1', {});
  CHECK(session.state.underway("s") == Underway::Closed);
  session.state.answered(closed, '3', {});
  CHECK(session.state.underway("s") == Underway::Nothing);
}

TEST_CASE("session state: a Query that is under way closes the unnamed statement") {
  Session session;
  session.state.answered(session.parse("", "SELECT 1"), '1', {});
  const auto query = session.query();
  CHECK(session.state.underway("") == SessionState::Underway::Closed);
  CHECK(session.state.underway("s") == SessionState::Underway::Nothing);
  session.state.answered(query, 'C', {});
  CHECK(session.state.underway("") == SessionState::Underway::Nothing);
  CHECK_FALSE(session.state.unnamed());
}

TEST_CASE("session state: of the unnamed statement, too, be it answered, discarded or forgotten") {
  using Underway = SessionState::Underway;
  Session session;
  const auto first = session.parse("", "SELECT 1");
  const auto second = session.close(kStatement, "");
  session.bind("p");
  CHECK(session.state.underway("") == Underway::Closed);
  session.state.answered(first, '1', {});
  CHECK(session.state.underway("") == Underway::Closed);
  session.state.answered(second, '3', {});
  CHECK(session.state.underway("") == Underway::Nothing);

  session.parse("", "SELECT 2");
  session.state.answered(session.sync(), 'Z', "I");
  CHECK(session.state.underway("") == Underway::Nothing);

  // Another server counts from 1 again.
  session.parse("", "SELECT 3");
  session.state.forget_pending();
  std::string close;
  append_close(close, kStatement, "t");
  session.state.sent(1, {close[0], close.size(), 0, close});
  CHECK(session.state.underway("") == Underway::Nothing);
  CHECK(session.state.underway("t") == Underway::Closed);
}

TEST_CASE("session state: each meaning of a name is told, those that are being made, too") {
  Session session;
  const auto meanings = [&](std::string_view name) {
    std::size_t count = 0;
    session.state.each_meaning(name, [&](const auto&, std::string_view) { ++count; });
    return count;
  };
  CHECK(meanings("s") == 0);
  session.state.answered(session.parse("s", "SELECT 1"), '1', {});
  CHECK(meanings("s") == 1);
  session.close(kStatement, "s");
  session.parse("s", "SELECT 2");
  session.parse("s", "SELECT 3");
  CHECK(meanings("s") == 3);
  CHECK(meanings("t") == 0);
}

TEST_CASE("session state: what is forgotten while it is pending has had no effect") {
  Session session;
  session.state.answered(session.parse("s", "SELECT 1"), '1', {});
  const std::size_t before = session.state.bytes();
  session.close(kStatement, "s");
  session.parse("t", "SELECT 2");
  const auto last = session.bind("p");
  session.state.forget_pending();
  CHECK(session.state.bytes() == before);
  CHECK(session.state.underway("t") == SessionState::Underway::Nothing);
  session.state.answered(last, '2', {});
  CHECK(session.state.find("s") != nullptr);
  CHECK(session.state.find("t") == nullptr);
  CHECK(session.state.portals() == 0);
}

}  // namespace
}  // namespace crossfade::postgres
