// What a session holds: the question, rows of its answer, and what another server is given.
#include "protocols/postgres/inventory.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "protocols/postgres/builder.h"
#include "protocols/postgres/frontend.h"
#include "protocols/postgres/sql_classify.h"
#include "tests/unit/protocols/postgres/bytes.h"

namespace crossfade::postgres {
namespace {

using Column = std::optional<std::string>;

std::string row(const std::vector<Column>& columns) {
  std::string bytes;
  {
    MessageBuilder builder(bytes, 'D');
    builder.u16(static_cast<std::uint16_t>(columns.size()));
    for (const Column& column : columns) {
      builder.u32(column ? static_cast<std::uint32_t>(column->size()) : UINT32_MAX);
      if (column) builder.bytes(*column);
    }
  }
  return bytes.substr(kHeaderSize);
}

Inventory told(const std::vector<std::vector<Column>>& rows) {
  InventoryReader reader("app");
  for (const auto& columns : rows) REQUIRE(reader.on_row(row(columns)));
  return reader.take();
}

TEST_CASE("inventory: the question is whole messages of the types that are told") {
  std::string bytes;
  append_inventory_question(bytes, {"app.tenant", "odd\"\\name"});
  const Cutting cutting = cut_all(bytes, MessageCutter(Stream::Client), {SIZE_MAX});
  std::string types;
  for (const std::string& one : cutting.messages) types += one[0];
  CHECK(types == kInventoryMessages);
  CHECK(cutting.rest == 0);
  CHECK(types.starts_with("CC"));
  CHECK(bytes.find(R"({"app.tenant","odd\"\\name"})") != std::string::npos);
}

// Of an earlier question, which an error may have ended between a Parse and its Close.
TEST_CASE("inventory: the question first closes each statement that it makes") {
  std::string bytes;
  append_inventory_question(bytes, {});
  const Cutting cutting = cut_all(bytes, MessageCutter(Stream::Client), {SIZE_MAX});
  std::vector<std::string_view> closed;
  std::size_t made = 0;
  for (const std::string& one : cutting.messages) {
    const std::string_view body = std::string_view(one).substr(kHeaderSize);
    if (const auto subject = one[0] == 'C' ? view_subject(body) : std::nullopt) {
      closed.push_back(subject->name);
    }
    if (one[0] != 'P') continue;
    ++made;
    const std::string_view name = view_parse(body)->name;
    CHECK(std::ranges::find(closed, name) != closed.end());
  }
  CHECK(made == 2);
}

TEST_CASE("inventory: settings, statements and ties are what the rows say") {
  const Inventory found = told({{"setting", "work_mem", "9MB", {}},
                                {"setting", "gone", {}, {}},
                                {"unset", "statement_timeout", "0", "0"},
                                {"role", "role", "worker", "app"},
                                {"statement", "s", "SELECT $1", "{23,1043}"},
                                {"statement", "p", "PREPARE p AS SELECT 1", {}}});
  CHECK(found.settings == SettingValues{{"role", "worker"}, {"work_mem", "9MB"}});
  REQUIRE(found.statements.size() == 2);
  CHECK(found.statements[0].types == std::vector<std::uint32_t>{23, 1043});
  CHECK(found.statements[1].by == PreparedText::By::Sql);
  CHECK(found.ties.empty());
}

TEST_CASE("inventory: what can not be given ties") {
  CHECK(told({{"listens", "x", {}, {}}}).ties.has(Tie::Listens));
  CHECK(told({{"lock", {}, {}, {}}}).ties.has(Tie::SessionLock));
  CHECK(told({{"temp", "mine", {}, {}}}).ties.has(Tie::TempObject));
  CHECK(told({{"cursor", "c", {}, {}}}).ties.has(Tie::HeldCursor));
  CHECK(told({{"role", "role", "none", "somebody"}}).ties.has(Tie::SessionUser));
  CHECK(told({{"role", "role", "none", "app"}}).ties.empty());
}

TEST_CASE("inventory: every prefix of a row is none, and so is one with a byte more") {
  const std::string whole = row({"statement", "s", "SELECT 1", "{23}"});
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK_FALSE(InventoryReader("app").on_row(std::string_view(whole).substr(0, size)));
  }
  CHECK_FALSE(InventoryReader("app").on_row(whole + "x"));
  CHECK_FALSE(InventoryReader("app").on_row(row({"setting", "a", "b"})));
  CHECK_FALSE(InventoryReader("app").on_row(row({{}, "a", "b", {}})));
  for (const char* const oids : {"23", "{", "{x}", "{23;24}", "{99999999999}"}) {
    CAPTURE(oids);
    CHECK_FALSE(InventoryReader("app").on_row(row({"statement", "s", "SELECT 1", oids})));
  }
}

TEST_CASE("inventory: a server is given what it lacks, in a form that no setting changes") {
  using Texts = std::vector<std::string>;
  CHECK(settings_queries({}, {}).empty());
  const SettingValues same{{"work_mem", "9MB"}, {"role", "r"}};
  CHECK(settings_queries(same, same).empty());
  CHECK(settings_queries({}, {{"app.x", "1"}, {"a\"b", "2"}}) ==
        Texts{R"(RESET "a""b";RESET "app"."x";)"});
  CHECK(settings_queries({{"role", "r"}, {"z", "it's \\ me"}}, {}) ==
        Texts{R"(SELECT pg_catalog.set_config(E'z',E'it\'s \\ me',false),)"
              R"(pg_catalog.set_config(E'role',E'r',false))"});
}

TEST_CASE("inventory: settings are given by the role that logged in, in their encoding") {
  using Texts = std::vector<std::string>;
  const std::string role = R"(pg_catalog.set_config(E'role',E'r',false))";
  CHECK(settings_queries({{"role", "r"}, {"z", "1"}}, {{"role", "r"}}) ==
        Texts{R"(RESET "role";SELECT pg_catalog.set_config(E'z',E'1',false),)" + role});
  CHECK(settings_queries({{"z", "1"}}, {{"role", "r"}, {"z", "1"}}) == Texts{R"(RESET "role";)"});
  CHECK(settings_queries({{"role", "r"}}, {{"role", "r"}, {"z", "1"}}) ==
        Texts{R"(RESET "role";RESET "z";SELECT )" + role});
  CHECK(settings_queries({{"app.x", "\xE9"}, {"client_encoding", "LATIN1"}}, {}) ==
        Texts{"SELECT pg_catalog.set_config(E'client_encoding',E'LATIN1',false)",
              "SELECT pg_catalog.set_config(E'app.x',E'\xE9',false)"});
  CHECK(settings_queries({}, {{"client_encoding", "LATIN1"}}) ==
        Texts{R"(RESET "client_encoding";)"});
}

TEST_CASE("inventory: statements of SQL are dropped and prepared where they differ") {
  const PreparedText one{"a\"b", "PREPARE \"a\"\"b\" AS SELECT 1", {}, PreparedText::By::Sql};
  const PreparedText two{"a\"b", "PREPARE \"a\"\"b\" AS SELECT 2", {}, PreparedText::By::Sql};
  CHECK(statement_queries({one}, {one}).empty());
  CHECK(statement_queries({two}, {one}) ==
        std::vector<std::string>{"DEALLOCATE \"a\"\"b\";", "PREPARE \"a\"\"b\" AS SELECT 2"});
}

std::optional<std::string> prepare_in(const std::string& text, const std::string& name) {
  std::string scratch;
  return prepare_of(classify(text, *SqlCatalog::built_in(), SqlReading::Standard, 1000, scratch),
                    text, name);
}

TEST_CASE("inventory: of the query that a PREPARE stood in nothing else is said again") {
  CHECK(prepare_in("UPDATE t SET n = n - 1; PREPARE p AS SELECT 1; COMMIT", "p") ==
        "PREPARE p AS SELECT 1");
  CHECK(prepare_in("PREPARE p AS SELECT ';'; PREPARE \"P;\" (int) AS DELETE FROM t", "P;") ==
        "PREPARE \"P;\" (int) AS DELETE FROM t");
  const std::string alone = " /* as it is */ PREPARE p AS SELECT 1 ;";
  CHECK(prepare_in(alone, "p") == alone);
}

TEST_CASE("inventory: a PREPARE that is not certain is none") {
  CHECK_FALSE(prepare_in("SELECT 1", "p"));
  CHECK_FALSE(prepare_in("PREPARE q AS SELECT 1", "p"));
  CHECK_FALSE(prepare_in("PREPARE p AS SELECT 1; DEALLOCATE p; PREPARE p AS SELECT 2", "p"));
  CHECK_FALSE(prepare_in("DO $$BEGIN EXECUTE 'PREPARE p AS SELECT 1'; END$$", "p"));
  CHECK_FALSE(prepare_in("PREPARE p AS SELECT 1; SELECT nothing that, is SQL", "p"));
  CHECK_FALSE(prepare_in("PREPARE p AS SELECT 1; SELECT '" + std::string(1000, 'x') + "'", "p"));
}

}  // namespace
}  // namespace crossfade::postgres
