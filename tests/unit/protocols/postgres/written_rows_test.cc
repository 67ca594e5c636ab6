// Rows of a transaction: from what passes by, within limits, and only where it is certain whose
// they are.
#include "protocols/postgres/written_rows.h"

#include <doctest/doctest.h>

#include <optional>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/sql_catalog_learn.h"
#include "protocols/postgres/types.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

using std::string_view_literals::operator""sv;
using Which = WrittenRows::Which;

constexpr std::uint32_t kNumeric = 1700;

const SqlCatalog& catalog() {
  static constexpr SqlCatalogRow kRows[] = {{"r", "public", "t", "rn", ""},
                                            {"r", "public", "log", "rn", ""},
                                            {"r", "public", "ids", "rn", ""},
                                            {"k", "public", "t", "id", "23"},
                                            {"k", "public", "ids", "id", "2950"}};
  static const auto learned = *learn_sql_catalog(kRows, {});
  return *learned;
}

struct Value {
  std::optional<std::string_view> bytes;
  std::uint16_t format = 0;
};

struct Described {
  const char* name;
  std::uint32_t type;
  std::uint16_t format = 0;
};

Piece whole(const std::string& bytes) { return {bytes[0], bytes.size(), 0, bytes}; }

// A transaction whose units all write.
class Session {
 public:
  WrittenRows rows;

  Session& unit() {
    rows.begin_unit();
    return *this;
  }
  Session& returning() {
    rows.expect_returned();
    return *this;
  }
  Session& query(std::string_view sql) {
    std::string bytes;
    append_query(bytes, sql);
    rows.on_request(whole(bytes));
    return *this;
  }
  Session& bind(std::string_view sql, const std::vector<Value>& values,
                const std::vector<std::uint32_t>& types = {}, const char* portal = "") {
    std::string parse;
    append_parse(parse, "s", sql, types);
    std::string bytes;
    {
      MessageBuilder builder(bytes, from_client::kBind);
      builder.text(portal).text("s").u16(static_cast<std::uint16_t>(values.size()));
      for (const Value& value : values) builder.u16(value.format);
      builder.u16(static_cast<std::uint16_t>(values.size()));
      for (const Value& value : values) {
        builder.u32(value.bytes ? static_cast<std::uint32_t>(value.bytes->size()) : 0xffffffff);
        builder.bytes(value.bytes.value_or(""));
      }
      builder.u16(0);
    }
    rows.on_request(whole(bytes), parse);
    return *this;
  }
  Session& describe(char kind = kPortal, const char* name = "") {
    std::string bytes;
    append_describe(bytes, kind, name);
    rows.on_request(whole(bytes));
    return *this;
  }
  Session& execute(const char* portal = "") {
    std::string bytes;
    MessageBuilder(bytes, from_client::kExecute).text(portal).u32(0);
    rows.on_request(whole(bytes));
    return *this;
  }
  Session& described(const std::vector<Described>& columns) {
    std::string bytes;
    {
      MessageBuilder builder(bytes, from_server::kRowDescription);
      builder.u16(static_cast<std::uint16_t>(columns.size()));
      for (const Described& column : columns) {
        builder.text(column.name).u32(0).u16(0).u32(column.type).u16(4).u32(0xffffffff);
        builder.u16(column.format);
      }
    }
    rows.on_piece(whole(bytes));
    return *this;
  }
  Session& row(const std::vector<std::optional<std::string_view>>& values) {
    rows.on_piece(whole(row_message(values)));
    return *this;
  }
  Session& complete() {
    rows.on_piece(whole(message(from_server::kCommandComplete, raw("INSERT 0 1\0"))));
    return *this;
  }
  static std::string row_message(const std::vector<std::optional<std::string_view>>& values) {
    std::string bytes;
    MessageBuilder builder(bytes, from_server::kDataRow);
    builder.u16(static_cast<std::uint16_t>(values.size()));
    for (const auto& value : values) {
      builder.u32(value ? static_cast<std::uint32_t>(value->size()) : 0xffffffff);
      builder.bytes(value.value_or(""));
    }
    return bytes;
  }

  std::string words(Which which = Which::All) const {
    std::string words;
    for (const auto& [name, table] : rows.names(which, catalog())) {
      words += (words.empty() ? "" : " ") + name;
    }
    return words;
  }
};

constexpr const char* kUpdate = "UPDATE t SET n = 1 WHERE id = $1";
constexpr const char* kReturns = "INSERT INTO t (n) VALUES ($1) RETURNING id";

TEST_CASE("written rows: constants and parameters give one row one name") {
  CHECK(Session().unit().query("UPDATE t SET n = 1 WHERE id = 7").words() == "t (id=7)");
  CHECK(Session().unit().bind(kUpdate, {{"7"}}).words() == "t (id=7)");
  CHECK(Session().unit().bind(kUpdate, {{"\0\0\0\7"sv, 1}}).words() == "t (id=7)");
  CHECK(Session()
            .unit()
            .query("DELETE FROM t WHERE id = 7; UPDATE t SET id = 8 WHERE id = 7")
            .query("INSERT INTO public.t (id) VALUES (9)")
            .words() == "public.t (id=9) t (id=7) t (id=8)");
  CHECK(Session().unit().query("UPDATE t SET n = 1").words().empty());
}

TEST_CASE("written rows: a binary parameter counts where its type is known") {
  const auto told = [](const char* sql, std::string_view bytes, std::uint32_t declared = 0) {
    return Session().unit().bind(sql, {{bytes, 1}}, {declared}).words();
  };
  constexpr const char* kLog = "DELETE FROM log WHERE a = $1";
  CHECK(told(kUpdate, "\0\0\0\0\0\0\0\7"sv, type_oid::kInt8) == "t (id=7)");
  CHECK(told(kUpdate, "\0\0\0\0\0\0\0\7"sv).empty());  // its column is int4
  CHECK(told(kUpdate, "\0\7"sv, type_oid::kInt2) == "t (id=7)");
  CHECK(told(kUpdate, "\0\1\0\0\0\0\0\0\0\7"sv, kNumeric).empty());
  CHECK(told("DELETE FROM ids WHERE id = $1", std::string_view("0123456789abcdef")) ==
        "ids (id='30313233-3435-3637-3839-616263646566')");
  CHECK(told(kLog, "\0\0\0\7"sv).empty());
  CHECK(told(kLog, "\0\0\0\7"sv, type_oid::kInt4) == "log (a=7)");
  CHECK(told(kLog, "it's", type_oid::kText) == "log (a='it''s')");
  CHECK(told("DELETE FROM log WHERE a = $1::int", "\0\0\0\7"sv) == "log (a=7)");
  CHECK(told("DELETE FROM log WHERE a = $1::int", "\0\0\0\7"sv, type_oid::kInt4) == "log (a=7)");
  CHECK(told("DELETE FROM log WHERE a = $1::int", "7", type_oid::kText).empty());
}

TEST_CASE("written rows: what the server would read as another value has no name") {
  const auto told = [](std::string_view text) {
    return Session().unit().bind(kUpdate, {{text}}).words();
  };
  CHECK(told("-7") == "t (id=-7)");
  CHECK(told(" 7").empty());
  CHECK(told("7.6").empty());
  CHECK(told("").empty());
  CHECK(Session().unit().query("INSERT INTO t (id) VALUES (7.6)").words().empty());
  CHECK(Session().unit().query("DELETE FROM log WHERE at = 'now'").words().empty());
  CHECK(Session().unit().bind("DELETE FROM log WHERE at = $1", {{"Today"}}).words().empty());
  CHECK(Session().unit().bind("DELETE FROM log WHERE a = $1::int", {{"7 "}}).words().empty());
}

TEST_CASE("written rows: a parameter that is NULL or missing tells none") {
  CHECK(Session().unit().bind(kUpdate, {{std::nullopt}}).words().empty());
  CHECK(Session().unit().bind(kUpdate, {}).words().empty());
  CHECK(Session().unit().bind("UPDATE t SET n = 1 WHERE id = $2", {{"7"}}).words().empty());
  Session none;
  none.unit();
  std::string bind;
  MessageBuilder(bind, from_client::kBind).text("").text("s").u16(0).u16(0).u16(0);
  none.rows.on_request(whole(bind));  // of a statement that is not kept
  CHECK(none.words().empty());
  std::string query;
  append_query(query, "PREPARE s AS " + std::string(kUpdate));
  none.rows.on_request(whole(bind), query);
  CHECK(none.words().empty());
}

TEST_CASE("written rows: whatever of a message has not come, it is no worse than nothing") {
  std::string parse;
  append_parse(parse, "", kUpdate);
  std::string bind;
  MessageBuilder(bind, from_client::kBind).text("").text("").u16(0).u16(1).u32(1).bytes("7").u16(0);
  for (std::size_t here = kHeaderSize; here < bind.size(); ++here) {
    WrittenRows rows;
    rows.begin_unit();
    rows.on_request({bind[0], bind.size(), 0, std::string_view(bind).substr(0, here)}, parse);
    CHECK(rows.names(Which::All, catalog()).empty());
  }
}

TEST_CASE("written rows: what is returned tells rows by their primary key") {
  Session session;
  session.unit().returning().query("INSERT INTO t (n) VALUES (1), (2) RETURNING n, id");
  session.described({{"n", kNumeric}, {"id", type_oid::kInt4}}).row({"1", "41"}).row({"2", "42"});
  CHECK(session.complete().words() == "t (id=41) t (id=42)");
  session.unit().returning().bind(kReturns, {{"1"}}).describe().execute();
  session.described({{"id", type_oid::kInt4, 1}});
  session.rows.on_rows(from_server::kDataRow, Session::row_message({"\0\0\0\7"sv}) +
                                                  Session::row_message({"\0\0\0\x8"sv}));
  CHECK(session.complete().words() == "t (id=41) t (id=42) t (id=7) t (id=8)");
}

TEST_CASE("written rows: without a primary key all that is returned tells a row") {
  const auto told = [](std::size_t count) {
    Session session;
    session.unit().returning().query("INSERT INTO log (a) VALUES (1) RETURNING *");
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count; ++i) names.push_back("c" + std::to_string(i));
    std::vector<Described> columns;
    for (const std::string& name : names) columns.push_back({name.c_str(), kNumeric});
    std::vector<std::optional<std::string_view>> values(count, "x");
    values[0] = std::nullopt;
    return session.described(columns).row(values).words();
  };
  CHECK(told(2) == "log (c0=null, c1='x')");
  CHECK_FALSE(told(kRowColumnsMax).empty());
  CHECK(told(kRowColumnsMax + 1).empty());
}

TEST_CASE("written rows: rows that may be anything else's tell nothing") {
  const auto told = [](Session& session, std::uint16_t format = 0) {
    session.described({{"id", type_oid::kInt4, format}}).row({"41"});
    return session.words();
  };
  Session plain;
  plain.unit().returning().query("INSERT INTO t (n) VALUES (1) RETURNING id");
  CHECK(told(plain) == "t (id=41)");
  plain.complete().row({"42"});  // of a result that nobody has described
  CHECK(plain.words() == "t (id=41)");

  Session others;  // among them
  others.unit().returning().query("INSERT INTO t (n) VALUES (1) RETURNING id");
  others.rows.expect_others();
  others.rows.expect_returned();
  CHECK(told(others).empty());

  Session unasked;
  unasked.unit().query("INSERT INTO t (n) VALUES (1) RETURNING id");
  CHECK(told(unasked).empty());

  Session binary;  // of no size that it has
  binary.unit().returning().query("INSERT INTO t (n) VALUES (1) RETURNING id");
  CHECK(told(binary, 1).empty());

  Session keyless;
  keyless.unit().returning().query("INSERT INTO t (n) VALUES (1) RETURNING n");
  keyless.described({{"n", type_oid::kInt4}}).row({"1"});
  CHECK(keyless.words().empty());

  Session tables;
  tables.unit().returning().bind(kReturns, {{"1"}}).describe().execute();
  tables.bind("INSERT INTO log (a) VALUES (1) RETURNING id", {}).describe().execute();
  CHECK(told(tables).empty());

  Session renamed;
  renamed.unit().returning().query("INSERT INTO t (n) VALUES (1) RETURNING n AS id");
  CHECK(told(renamed).empty());
}

TEST_CASE("written rows: what is returned counts for the unnamed portal of its own unit only") {
  const auto told = [](auto ask) {
    Session session;
    session.unit().returning();
    ask(session);
    return session.described({{"id", type_oid::kInt4}}).row({"41"}).words();
  };
  CHECK(told([](Session& s) { s.bind(kReturns, {{"1"}}).describe().execute(); }) == "t (id=41)");
  CHECK(told([](Session& s) { s.bind(kReturns, {{"1"}}, {}, "p").describe().execute(); }).empty());
  CHECK(told([](Session& s) {
          s.bind(kReturns, {{"1"}}).describe(kStatement, "s").execute();
        }).empty());
  CHECK(
      told([](Session& s) { s.bind(kReturns, {{"1"}}).describe(kPortal, "p").execute(); }).empty());
  CHECK(told([](Session& s) { s.bind(kReturns, {{"1"}}).execute("p").execute(); }).empty());
  CHECK(told([](Session& s) { s.execute().bind(kReturns, {{"1"}}).execute(); }).empty());
  CHECK(told([](Session& s) { s.describe().bind(kReturns, {{"1"}}).execute(); }).empty());
}

TEST_CASE("written rows: of a transaction in parts only the doubted units are named") {
  Session session;
  session.unit().query("UPDATE t SET n = 1 WHERE id = 1");
  session.unit();
  session.rows.doubt_unit();
  session.query("UPDATE t SET n = 1 WHERE id = 2");
  session.unit().query("UPDATE t SET n = 1 WHERE id = 3");
  session.rows.doubt_unit();
  session.unit().query("UPDATE t SET n = 1 WHERE id = 4");
  CHECK(session.words(Which::Doubted) == "t (id=2) t (id=3)");
  CHECK(session.words() == "t (id=1) t (id=2) t (id=3) t (id=4)");
  session.rows.forget();
  CHECK(session.words().empty());
  CHECK(session.query("UPDATE t SET n = 1 WHERE id = 5").words() == "t (id=5)");
}

TEST_CASE("written rows: beyond a limit none is named, and nothing is kept") {
  Session session;
  session.unit();
  for (std::size_t i = 0; i < kRowsMax; ++i) session.bind(kUpdate, {{std::to_string(i)}});
  CHECK(session.rows.names(Which::All, catalog()).size() == kRowsMax);
  session.bind(kUpdate, {{"more"}});
  CHECK(session.words().empty());
  CHECK(session.rows.bytes() == 0);
  session.unit().query("UPDATE t SET n = 1 WHERE id = 5");
  CHECK(session.words().empty());  // the transaction is the same
  session.rows.forget();
  CHECK(session.query("UPDATE t SET n = 1 WHERE id = 5").words() == "t (id=5)");
}

TEST_CASE("written rows: a pipeline of as many rows as there may be is named whole") {
  Session session;
  session.unit().returning();
  for (std::size_t i = 0; i < kRowsMax; ++i) session.bind(kReturns, {{"1"}}).describe().execute();
  for (std::size_t i = 0; i < kRowsMax; ++i) {
    session.described({{"id", type_oid::kInt4}}).row({std::to_string(i)}).complete();
  }
  CHECK(session.rows.names(Which::All, catalog()).size() == kRowsMax);
}

TEST_CASE("written rows: bytes and returned rows have limits, too") {
  Session bytes;
  bytes.unit();
  const std::string sql = "UPDATE t SET n = 1 WHERE id = 1 AND note = '";
  const auto query = [&](char with) { return bytes.query(sql + std::string(8000, with) + "'"); };
  std::size_t texts = 0;
  for (; query(static_cast<char>('a' + texts)).rows.bytes() > 0; ++texts) {
    CHECK(query(static_cast<char>('a' + texts)).words() == "t (id=1)");  // the same once more
  }
  CHECK(texts == WrittenRows::kBytesMax / 8000);
  CHECK(bytes.words().empty());

  Session rows;
  rows.unit().returning().query("INSERT INTO t (n) SELECT 1 RETURNING id");
  rows.described({{"id", type_oid::kInt4}});
  for (std::size_t i = 0; i < kRowsMax; ++i) rows.row({std::to_string(i)});
  CHECK(rows.rows.names(Which::All, catalog()).size() == kRowsMax);
  CHECK(rows.row({"more"}).words().empty());
  CHECK(rows.rows.bytes() == 0);

  std::string values = "INSERT INTO t (id) VALUES (0)";
  for (std::size_t i = 1; i < kRowsMax; ++i) values += ",(" + std::to_string(i) + ")";
  CHECK(Session().unit().query(values).rows.names(Which::All, catalog()).size() == kRowsMax);
  CHECK(Session().unit().query(values + ",(1000)").words().empty());

  Session ends;
  ends.unit().returning().query("INSERT INTO t (n) VALUES (1) RETURNING id");
  for (int i = 0; i < 1000; ++i) ends.complete();
  CHECK(ends.words().empty());

  Session pieces;
  pieces.unit().returning().query("INSERT INTO t (id) VALUES (1) RETURNING id");
  const std::string row = Session::row_message({"41"});
  pieces.rows.on_piece({row[0], row.size(), 0, std::string_view(row).substr(0, 8)});
  CHECK(pieces.words().empty());
}

}  // namespace
}  // namespace crossfade::postgres
