// Digests of replies: what is part of their meaning, what is not, and how bytes arrive never
// matters.
#include "protocols/postgres/result_digest.h"

#include <doctest/doctest.h>

#include <utility>

#include "protocols/postgres/backend.h"
#include "tests/unit/protocols/postgres/bytes.h"
#include "tests/unit/protocols/postgres/tell.h"

namespace crossfade::postgres {
namespace {

Difference difference(const std::string& one, const std::string& other, How how = How::Exact) {
  const Difference what = compare(digest_of(one), digest_of(other), how).what;
  CHECK(what == compare(digest_of(other), digest_of(one), how).what);
  return what;
}

std::string column(const std::string& name, std::uint32_t type, std::uint32_t table = 16'400) {
  std::string bytes;
  const std::string typed = header('x', type).substr(1);
  bytes.append(name).push_back('\0');
  bytes += header('x', table).substr(1) + raw("\0\1") + typed + raw("\0\4\xff\xff\xff\xff\0\0");
  return bytes;
}
std::string columns(const std::vector<std::string>& all) {
  std::string body(1, '\0');
  body.push_back(static_cast<char>(all.size()));
  for (const std::string& one : all) body += one;
  return message('T', body);
}
std::string row(std::string_view value) {
  std::string body = raw("\0\1") + header('x', static_cast<std::uint32_t>(value.size())).substr(1);
  return message('D', body.append(value));
}
std::string tag(const std::string& text) { return message('C', text + '\0'); }
std::string error(const std::string& sqlstate, const std::string& text = "x") {
  std::string bytes;
  append_error(bytes, {"ERROR", sqlstate, text});
  return bytes;
}
const std::string kIdle = message('Z', "I");
const std::string kOne = columns({column("a", 23)});

std::string select(const std::vector<std::string>& values) {
  std::string bytes = kOne;
  for (const std::string& value : values) bytes += row(value);
  return bytes + tag("SELECT " + std::to_string(values.size()));
}

const std::string kConversation =
    message('1') + message('2') + select({"one", "two", "three"}) +
    message('t', raw("\0\1\0\0\0\x17")) + message('n') + message('N', raw("SNOTICE\0\0")) +
    row(std::string(3000, 'x')) + message('s') + tag("INSERT 0 5") + message('I') + error("22012") +
    kIdle + message('S', raw("a\0b\0")) + message('V', raw("\0\0\0\1x")) + kIdle +
    message('H', raw("\1\0\1\0\1")) + message('d', std::string(19, 'h') + "first") +
    message('d', "second") + message('c') + tag("COPY 2") + message('A', raw("\0\0\0\1c\0p\0")) +
    columns({column(std::string(70'000, 'n'), 25)}) + row("r") + tag("SELECT 1") +
    message('Z', "T");

TEST_CASE("result digest: a result is told by command, count, columns, rows") {
  const ResultDigest digest = digest_of(select({"a", "bc"}) + kIdle);
  REQUIRE(digest.results().size() == 1);
  const QueryResult& result = digest.results()[0];
  CHECK(result.ending == QueryResult::Ending::Complete);
  CHECK(result.command_text() == "SELECT");
  CHECK(result.count == 2);
  CHECK(result.columns == 1);
  CHECK(result.rows == 2);
  CHECK(result.bytes == 2 * 6 + 3);
  CHECK(digest.rows() == 2);
  CHECK(digest.failures() == 0);
  CHECK(digest.turns() == 1);
  CHECK(digest.status() == Transaction::Idle);
}

TEST_CASE("result digest: where the bytes are split never changes it") {
  const ResultDigest whole = digest_of(kConversation);
  CHECK(whole.results().size() == 8);
  for (std::size_t size = 1; size < 200; ++size) {
    INFO("pieces of ", size);
    const Compared compared = compare(whole, digest_of(kConversation, size), How::Exact);
    CHECK_MESSAGE(compared.same(), compared.text());
  }
}

TEST_CASE("result digest: every prefix is told without a result that has not ended") {
  const ResultDigest whole = digest_of(kConversation);
  for (std::size_t size = 0; size < kConversation.size(); size += 1 + size / 100) {
    const ResultDigest part = digest_of(std::string_view(kConversation).substr(0, size));
    CHECK(part.results().size() <= whole.results().size());
    CHECK_FALSE(compare(part, whole, How::Exact).same());
  }
}

TEST_CASE("result digest: runs of rows are the same as rows one by one") {
  const std::string rows = row("a") + row("") + row(std::string(5000, 'b'));
  ResultDigest run, single;
  run.on_rows('D', rows);
  for (const std::string& one : {row("a"), row(""), row(std::string(5000, 'b'))}) {
    single.on_piece({.type = 'D', .size = one.size(), .offset = 0, .bytes = one});
  }
  for (ResultDigest* const digest : {&run, &single}) {
    const std::string end = tag("SELECT 3");
    digest->on_piece({.type = 'C', .size = end.size(), .offset = 0, .bytes = end});
  }
  CHECK(compare(run, single, How::Exact).same());
  CHECK(run.results()[0].rows == 3);
}

TEST_CASE("result digest: order counts only where it is asked for") {
  const std::string one = select({"a", "b", "c"}), other = select({"c", "a", "b"});
  CHECK(difference(one, other) == Difference::Order);
  CHECK(difference(one, other, How::Multiset) == Difference::None);
  CHECK(difference(one, other, How::ShapeOnly) == Difference::None);
}

TEST_CASE("result digest: a multiset knows how often a row is in it") {
  CHECK(difference(select({"a", "a", "b"}), select({"a", "b", "b"}), How::Multiset) ==
        Difference::Rows);
  CHECK(difference(select({"a", "a"}), select({"b", "b"}), How::Multiset) == Difference::Rows);
  CHECK(difference(select({"a"}), select({"a", "a"}), How::Multiset) == Difference::Counts);
  CHECK(difference(select({"ab", "c"}), select({"a", "bc"}), How::Multiset) == Difference::Rows);
}

TEST_CASE("result digest: shapes hold columns and commands, not rows and counts") {
  CHECK(difference(select({"a"}), select({"b", "c"}), How::ShapeOnly) == Difference::None);
  CHECK(difference(kOne + tag("SELECT 0"), kOne + tag("FETCH 0"), How::ShapeOnly) ==
        Difference::Command);
  CHECK(difference(kOne + row("a") + message('s'), select({"a"}), How::ShapeOnly) ==
        Difference::None);
  CHECK(difference(kOne + row("a") + message('s'), select({"a"})) == Difference::Outcome);
}

TEST_CASE("result digest: names and types of columns count, OIDs of tables and user types do not") {
  const auto described = [](const std::string& one) { return columns({one}) + tag("SELECT 0"); };
  const std::string plain = described(column("a", 23, 16'400));
  CHECK(difference(plain, described(column("a", 23, 17'000))) == Difference::None);
  CHECK(difference(plain, described(column("b", 23)), How::ShapeOnly) == Difference::Columns);
  CHECK(difference(plain, described(column("a", 20)), How::ShapeOnly) == Difference::Columns);
  CHECK(difference(described(column("a", 16'385)), described(column("a", 99'999))) ==
        Difference::None);
  CHECK(difference(plain, described(column("a", 16'385))) == Difference::Columns);
  CHECK(difference(plain, columns({column("a", 23), column("a", 23)}) + tag("SELECT 0")) ==
        Difference::Columns);
}

TEST_CASE("result digest: of errors only the SQLSTATE counts, not the words, not rows before it") {
  CHECK(difference(error("42P01", "no"), error("42P01", "nein")) == Difference::None);
  CHECK(difference(error("42P01"), error("42703"), How::ShapeOnly) == Difference::Outcome);
  CHECK(difference(error("42P01"), select({"a"}), How::ShapeOnly) == Difference::Outcome);
  CHECK(difference(kOne + row("a") + error("22012"), kOne + error("22012")) == Difference::None);
  const ResultDigest digest = digest_of(error("22012") + kIdle);
  CHECK(digest.failures() == 1);
  CHECK(digest.results()[0].sqlstate_text() == "22012");
}

TEST_CASE("result digest: what comes at any moment, and what answers only a Parse, says nothing") {
  const std::string asides =
      message('N', raw("\0")) + message('S', raw("a\0b\0")) + message('A', raw("\0\0\0\1c\0p\0"));
  CHECK(difference(message('1') + message('2') + asides + select({"a"}) + asides + message('3'),
                   select({"a"})) == Difference::None);
}

TEST_CASE("result digest: the head of binary COPY belongs to no row") {
  const auto copied = [](const std::string& one, const std::string& other) {
    return message('H', raw("\1\0\1\0\1")) + message('d', std::string(19, 'h') + one) +
           message('d', other) + message('c') + tag("COPY 2");
  };
  CHECK(difference(copied("a", "b"), copied("b", "a"), How::Multiset) == Difference::None);
  CHECK(difference(copied("a", "b"), copied("b", "a")) == Difference::Order);
  CHECK(difference(copied("a", "b"), copied("a", "c"), How::Multiset) == Difference::Rows);
  CHECK(difference(message('H', raw("\0\0\0")) + tag("COPY 0"),
                   message('H', raw("\1\0\0")) + tag("COPY 0")) == Difference::Columns);
}

TEST_CASE("result digest: rows of a torn multiset are counted, not compared") {
  const auto torn = [](const std::string& one, const std::string& other) {
    return kOne + row(one) + message('s') + row(other) + tag("SELECT 1");
  };
  CHECK(difference(torn("a", "b"), torn("b", "a"), How::Multiset) == Difference::None);
  CHECK(difference(torn("a", "b"), torn("b", "a")) == Difference::Rows);
  CHECK(difference(torn("a", "b"), kOne + row("a") + message('s') + tag("SELECT 0"),
                   How::Multiset) == Difference::Counts);
}

TEST_CASE("result digest: each result is compared as strictly as was expected of it") {
  const auto told = [](const std::string& one, const std::string& other) {
    ResultDigest digest;
    const auto tell = [&](const std::string& value) {
      const std::string bytes = row(value), end = tag("SELECT 1");
      digest.on_rows('D', bytes);
      digest.on_piece({.type = 'C', .size = end.size(), .offset = 0, .bytes = end});
    };
    digest.expect(How::ShapeOnly);
    tell(one);
    digest.expect(How::Exact);
    tell(other);
    return digest;
  };
  CHECK(compare(told("now", "a"), told("then", "a"), How::Exact).same());
  const Compared compared = compare(told("now", "a"), told("then", "b"), How::Exact);
  CHECK(compared.what == Difference::Rows);
  CHECK(compared.result == 1);
}

TEST_CASE("result digest: as many results as are told apart, and one more") {
  const auto many = [](std::size_t count, const std::string& last) {
    std::string bytes;
    for (std::size_t i = 1; i < count; ++i) bytes += select({"same"});
    return bytes + select({last, "z"}) + kIdle;
  };
  for (const std::size_t count : {kResultsTold - 1, kResultsTold, kResultsTold + 1, 1000ul}) {
    INFO(count, " results");
    const bool told = count <= kResultsTold;
    CHECK(difference(many(count, "a"), many(count, "a")) == Difference::None);
    CHECK(difference(many(count, "a"), many(count, "b")) ==
          (told ? Difference::Rows : Difference::Results));
    CHECK(difference(many(count, "a"), many(count, "b"), How::ShapeOnly) == Difference::None);
    CHECK(difference(many(count, "a"), many(count + 1, "a"), How::ShapeOnly) ==
          Difference::Results);
    const ResultDigest digest = digest_of(many(count, "a"));
    CHECK(digest.results().size() + digest.results_beyond() == count);
    CHECK(digest.rows() == count + 1);
  }
}

TEST_CASE("result digest: the status of the transaction counts") {
  CHECK(difference(select({"a"}) + kIdle, select({"a"}) + message('Z', "T"), How::ShapeOnly) ==
        Difference::Status);
  CHECK(difference(select({"a"}) + kIdle, select({"a"})) == Difference::Status);
}

TEST_CASE("result digest: a description at its limit is read, one byte more is only measured") {
  const auto described = [](std::size_t size, char name, std::uint32_t type) {
    const std::size_t around = kHeaderSize + 2 + column("", type).size();
    return columns({column(std::string(size - around, name), type)}) + tag("SELECT 0");
  };
  CHECK(difference(described(kDescriptionMax, 'a', 16'385),
                   described(kDescriptionMax, 'a', 16'386)) == Difference::None);
  CHECK(difference(described(kDescriptionMax, 'a', 23), described(kDescriptionMax, 'b', 23)) ==
        Difference::Columns);
  CHECK(difference(described(kDescriptionMax + 1, 'a', 23),
                   described(kDescriptionMax + 1, 'b', 23)) == Difference::None);
  CHECK(difference(described(kDescriptionMax + 1, 'a', 23),
                   described(kDescriptionMax + 2, 'a', 23)) == Difference::Columns);
}

TEST_CASE("result digest: what is forgotten has left nothing") {
  ResultDigest digest = digest_of(kConversation.substr(0, kConversation.size() - 30));
  digest.clear();
  CHECK(compare(digest, ResultDigest(), How::Exact).same());
  CHECK(digest.rows() == 0);
  CHECK_FALSE(digest.status());
}

TEST_CASE("result digest: garbage in descriptions and tags is told without harm") {
  for (const char type : {'T', 't', 'C', 'E', 'Z', 'H', 'V', 'D', 'd'}) {
    for (const std::string& body :
         {std::string(), raw("\0"), raw("\xff\xff\xff"), raw("\0\2a\0b")}) {
      const ResultDigest digest = digest_of(message(type, body) + message('I') + kIdle);
      CHECK(digest.turns() >= 1);
    }
  }
}

TEST_CASE("command tags: counts stand behind the command") {
  const auto split = [](std::string_view text) {
    const CommandTag tag = split_tag(text);
    return std::string(tag.command) + "|" + (tag.count ? std::to_string(*tag.count) : "-");
  };
  CHECK(split("SELECT 5") == "SELECT|5");
  CHECK(split("INSERT 0 12") == "INSERT|12");
  CHECK(split("INSERT 16400 1") == "INSERT|1");
  CHECK(split("CREATE TABLE") == "CREATE TABLE|-");
  CHECK(split("SELECT") == "SELECT|-");
  CHECK(split("COPY 18446744073709551615") == "COPY|18446744073709551615");
  CHECK(split("") == "|-");
  CHECK(split("7") == "7|-");
}

TEST_CASE("how: what cannot be told to be equal is not compared so") {
  SqlFacts facts;
  CHECK(how_of(facts) == How::Multiset);
  facts.sorted = true;
  CHECK(how_of(facts) == How::Exact);
  facts.sided = true;
  CHECK(how_of(facts) == How::ShapeOnly);
  facts.sided = false;
  facts.deterministic = false;
  CHECK(how_of(facts) == How::ShapeOnly);
  facts.deterministic = true;
  SessionStep fetch;
  fetch.what = SessionStep::What::Fetch;
  facts.steps.push_back({.statement = 0, .what = std::move(fetch)});
  CHECK(how_of(facts) == How::ShapeOnly);
}

}  // namespace
}  // namespace crossfade::postgres
