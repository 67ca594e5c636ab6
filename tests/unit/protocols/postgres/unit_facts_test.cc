// Facts of units: what each may do, whatever its statements mean by the time it runs.
#include "protocols/postgres/unit_facts.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "protocols/postgres/frontend.h"
#include "tests/unit/protocols/postgres/reading.h"
#include "tests/unit/work.h"

namespace crossfade::postgres {
namespace {

TEST_CASE("unit facts: reads read, and whatever may write writes") {
  Reading reading;
  CHECK(reading.query("SELECT * FROM t").only_reads);
  CHECK(reading.query("SELECT * FROM t; SELECT 2").only_reads);
  for (const char* const sql : {"UPDATE t SET a = 1", "SELECT 1; DELETE FROM t",
                                "SELECT f_volatile()", "SELECT * FROM nobody_knows", "not SQL"}) {
    CAPTURE(sql);
    CHECK_FALSE(reading.query(sql).only_reads);
    CHECK(reading.facts().writes);
  }
}

TEST_CASE("unit facts: what a unit runs is told text by text, also by names") {
  Reading reading;
  const auto texts = [&] {
    std::vector<std::string> said;
    for (const SaidText& one : reading.said.texts) {
      said.push_back((one.facts->forms.empty() ? "?" : "") + std::string(one.text));
    }
    return said;
  };
  using Texts = std::vector<std::string>;
  reading.query("SELECT 1; SELECT * FROM t");
  CHECK(texts() == Texts{"SELECT 1; SELECT * FROM t"});
  reading.query("SET work_mem = 1");
  CHECK(texts() == Texts{"SET work_mem = 1"});
  reading.begin();
  const auto made = reading.send(parse("s", "SELECT a FROM t WHERE b = $1"));
  reading.tell(bind("s"));
  reading.tell(execute(""));
  CHECK(texts() == Texts{"SELECT a FROM t WHERE b = $1"});
  reading.state.answered(made, '1', {});
  reading.begin();
  reading.tell(bind("s"));
  reading.tell(parse("", "SELECT 2"));
  reading.tell(bind(""));
  CHECK(texts() == Texts{"SELECT a FROM t WHERE b = $1", "SELECT 2"});
  CHECK(reading.facts().parts == 2);
  // Being made anew: either may be meant.
  reading.begin();
  reading.send(parse("s", "SELECT 3"));
  reading.begin();
  reading.tell(bind("s"));
  CHECK(texts() == Texts{"SELECT a FROM t WHERE b = $1", "SELECT 3"});
  // What is not known is a part without a text.
  reading.begin();
  reading.tell(bind("nobody knows"));
  CHECK(texts().empty());
  CHECK(reading.facts().parts == 1);
  // What may mean something else by now is of no form.
  reading.elsewhere = std::make_shared<Redefined>(Redefined{.others = false, .tables = {"t"}});
  reading.query("SELECT * FROM t");
  CHECK(texts() == Texts{"?SELECT * FROM t"});
}

TEST_CASE("unit facts: what a Bind passes is told with the text that it is for") {
  Reading reading;
  const auto bound = [&] {
    std::vector<std::string> texts;
    for (const SaidBind& one : reading.said.binds) {
      CHECK(view_bind(one.body));
      texts.emplace_back(reading.said.texts[one.text].text);
    }
    return texts;
  };
  using Texts = std::vector<std::string>;
  reading.begin();
  const auto made = reading.send(parse("s", "SELECT a FROM t WHERE b = $1", {23}));
  reading.tell(bind("s"));
  reading.tell(parse("", "SELECT 2"));
  reading.tell(bind(""));
  reading.tell(bind("s"));
  reading.tell(parse("", "SELECT 3"));
  reading.tell(bind(""));
  CHECK(bound() == Texts{"SELECT a FROM t WHERE b = $1", "SELECT 2", "SELECT a FROM t WHERE b = $1",
                         "SELECT 3"});
  CHECK(reading.said.texts[0].types == std::string_view("\0\0\0\x17", 4));
  CHECK(reading.said.texts[1].types.empty());
  reading.state.answered(made, '1', {});
  reading.begin();
  reading.tell(bind("s"));
  reading.tell(bind("nobody knows"));
  reading.tell(bind("s"));
  CHECK(bound() == Texts{"SELECT a FROM t WHERE b = $1", "SELECT a FROM t WHERE b = $1"});
  CHECK(reading.said.texts[1].types == std::string_view("\0\0\0\x17", 4));
  // Being made anew: what is to be made last counts.
  reading.begin();
  reading.send(parse("s", "SELECT 4"));
  reading.begin();
  reading.tell(bind("s"));
  CHECK(bound() == Texts{"SELECT 4"});
  // A Parse that nobody understands is none that a Bind could be told of.
  reading.begin();
  reading.tell(message('P', raw("s\0SELECT")));
  reading.tell(bind("s"));
  reading.tell(message('B', "s"));
  CHECK(bound().empty());
}

TEST_CASE("unit facts: where a transaction stands afterwards") {
  Reading reading;
  CHECK(reading.query("SELECT 1").leaves == Leaves::AsItWas);
  CHECK(reading.query("SELECT * FROM nobody_knows").leaves == Leaves::AsItWas);
  CHECK(reading.query("BEGIN").leaves == Leaves::Open);
  CHECK(reading.query("COMMIT AND CHAIN").leaves == Leaves::Open);
  CHECK(reading.query("BEGIN; ROLLBACK").leaves == Leaves::Closed);
  CHECK(reading.query("ROLLBACK TO s").leaves == Leaves::AsItWas);
  CHECK(reading.query("not SQL").leaves == Leaves::Unsure);
}

TEST_CASE("unit facts: a read-only block is one that nothing makes another") {
  Reading reading;
  for (const char* const sql :
       {"BEGIN READ ONLY", "START TRANSACTION READ ONLY; SELECT * FROM t",
        "BEGIN READ ONLY; SELECT 1; COMMIT", "BEGIN READ ONLY; SET LOCAL work_mem = 1"}) {
    CAPTURE(sql);
    CHECK(reading.query(sql).opens_read_only);
  }
  for (const char* const sql :
       {"BEGIN", "SELECT 1; BEGIN READ ONLY", "BEGIN READ ONLY; COMMIT; BEGIN",
        "BEGIN READ ONLY; COMMIT AND CHAIN", "BEGIN READ ONLY; SET TRANSACTION READ WRITE",
        "BEGIN READ ONLY; SET transaction_read_only = 'of'",
        "BEGIN READ ONLY; RESET transaction_read_only",
        "BEGIN READ ONLY; SET transaction_read_only TO DEFAULT",
        "BEGIN READ ONLY; SET LOCAL \"Transaction_Read_Only\" = off", "BEGIN READ ONLY; NOTIFY x",
        "BEGIN READ ONLY; UPDATE t SET a = 1", "BEGIN READ ONLY; not SQL"}) {
    CAPTURE(sql);
    CHECK_FALSE(reading.query(sql).opens_read_only);
  }
}

TEST_CASE("unit facts: what works in a read-only transaction all the same is told") {
  Reading reading;
  for (const char* const sql :
       {"NOTIFY x", "LISTEN x", "SET TRANSACTION READ WRITE", "CREATE TEMP TABLE m (i int)",
        "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_xact_lock(1)", "COPY t TO PROGRAM 'cat'",
        "not SQL", "RESET transaction_read_only", "SELECT setseed(0.5)",
        "SELECT set_config('app.' || 'x', '1', false)", "SELECT f_volatile()", "DO 'x'",
        "CALL nobody_knows()"}) {
    CAPTURE(sql);
    CHECK(reading.query(sql).works_read_only);
  }
  for (const char* const sql :
       {"SELECT 1", "UPDATE t SET a = 1", "COMMIT", "SET TRANSACTION READ ONLY", "COPY t TO STDOUT",
        "SELECT * FROM nobody_knows", "SELECT set_config('app.x', '1', false)"}) {
    CAPTURE(sql);
    CHECK_FALSE(reading.query(sql).works_read_only);
  }
  CHECK(reading.query("COMMIT; BEGIN").says_begin);
  CHECK_FALSE(reading.query("COMMIT AND CHAIN").says_begin);
}

TEST_CASE("unit facts: a name means what it may come to mean") {
  Reading reading;
  reading.tell(bind("s"));
  CHECK(reading.facts().writes);  // nobody knows it
  const auto made = reading.send(parse("s", "SELECT * FROM t"));
  reading.state.answered(made, '1', {});
  reading.begin();
  reading.tell(bind("s"));
  CHECK(reading.facts().only_reads);
  // Being made anew, which nobody has answered: either may be meant.
  reading.begin();
  std::string close;
  append_close(close, kStatement, "s");
  reading.send(close);
  reading.begin();
  reading.send(parse("s", "DELETE FROM t"));
  reading.begin();
  reading.tell(bind("s"));
  CHECK(reading.facts().writes);
}

TEST_CASE("unit facts: a Parse of the same unit counts for its Bind") {
  Reading reading;
  reading.tell(parse("s", "SELECT * FROM t"));
  reading.tell(bind("s"));
  CHECK(reading.facts().only_reads);
  CHECK(reading.facts().parts == 1);
  CHECK(reading.reader.facts_of_parse(0) != nullptr);
  CHECK(reading.reader.facts_of_parse(1) == nullptr);
}

TEST_CASE("unit facts: an Execute runs what was bound, in whatever unit that was") {
  Reading reading;
  const auto bound = [&](const std::string& portal, const std::string& text) {
    reading.begin();
    reading.tell(parse("", text));
    reading.tell(bind_portal(portal, ""));
    reading.tell(execute(portal));
    CHECK(reading.facts().parts == 1);
  };
  const auto executed = [&](const std::string& portal) -> const UnitFacts& {
    reading.begin();
    reading.tell(execute(portal));
    return reading.facts();
  };
  for (const std::string portal : {"", "p"}) {
    CAPTURE(portal);
    bound(portal, "SELECT * FROM t");
    CHECK(executed(portal).parts == 0);  // it goes on with a read
    bound(portal, "DELETE FROM t");
    CHECK(executed(portal).writes);
    CHECK(reading.facts().written_listed);
    CHECK(reading.reader.texts().size() == 1);
  }
  bound("p", "SELECT 1");  // which fails: there is such a portal
  CHECK(executed("p").writes);
  bound("p", "DELETE FROM other");  // whichever it is
  CHECK_FALSE(executed("p").written_listed);
  bound("", "SELECT 1");  // which takes the place of another
  CHECK(executed("").only_reads);
  CHECK_FALSE(executed("q").written_listed);  // nobody knows it
  reading.reader.forget_portals();
  CHECK_FALSE(executed("").only_reads);
}

TEST_CASE("unit facts: an Execute of a cursor runs what was declared") {
  Reading reading;
  const auto executed = [&](const std::string& portal) -> const UnitFacts& {
    reading.begin();
    reading.tell(execute(portal));
    return reading.facts();
  };
  reading.query("DECLARE c CURSOR FOR SELECT * FROM t");
  CHECK(executed("c").only_reads);
  CHECK(reading.facts().parts == 0);
  reading.query("SELECT 1; DECLARE d NO SCROLL CURSOR FOR SELECT f_volatile()");
  CHECK(executed("d").writes);
  CHECK(executed("c").only_reads);
  reading.query("DECLARE l CURSOR FOR SELECT * FROM t FOR UPDATE");
  CHECK_FALSE(executed("l").only_reads);
  CHECK_FALSE(reading.facts().writes);
  reading.begin();
  reading.send(parse("s", "DECLARE e CURSOR FOR SELECT * FROM t"));
  reading.reader.forget_portals();
  CHECK(executed("e").writes);  // nothing is known in the next transaction ...
  reading.begin();
  reading.tell(bind("s"));  // ... until it is declared there
  reading.tell(execute(""));
  CHECK(executed("e").only_reads);
  reading.reader.forget_portals();
  reading.query("FETCH c");
  CHECK(executed("c").writes);
}

TEST_CASE("unit facts: portals whose facts are kept have a limit") {
  Reading reading;
  reading.tell(parse("", "SELECT * FROM t"));
  for (std::size_t i = 0; i <= kPortalsMax; ++i) reading.tell(bind_portal(std::to_string(i), ""));
  reading.begin();
  reading.tell(execute(std::to_string(kPortalsMax - 1)));
  CHECK(reading.facts().only_reads);
  reading.tell(execute(std::to_string(kPortalsMax)));
  CHECK(reading.facts().writes);
  // What is closed makes room.
  reading.begin();
  reading.tell(message('C', "P" + raw("0\0")));
  reading.tell(parse("", "SELECT * FROM t"));
  reading.tell(bind_portal("one more", ""));
  reading.begin();
  reading.tell(execute("one more"));
  CHECK(reading.facts().only_reads);
}

TEST_CASE("unit facts: a parameter of a type that users have made is of one side") {
  Reading reading;
  reading.tell(parse("", "SELECT $1", {23}));
  CHECK_FALSE(reading.facts().sided);
  reading.tell(parse("", "SELECT $1", {16384}));
  CHECK(reading.facts().sided);
}

TEST_CASE("unit facts: writes that say the user's name are drawn where two servers have two") {
  constexpr const char* kSay[] = {"INSERT INTO owned (a) VALUES (1)",
                                  "INSERT INTO owned DEFAULT VALUES",
                                  "INSERT INTO owned VALUES (1, DEFAULT)",
                                  "UPDATE owned SET by = DEFAULT",
                                  "INSERT INTO t SELECT a FROM v_mine",
                                  "DELETE FROM t WHERE a IN (SELECT a FROM v_mine)",
                                  "UPDATE guarded SET a = 1",
                                  "INSERT INTO t SELECT a FROM guarded",
                                  "ALTER TABLE t ADD by text DEFAULT user"};
  constexpr const char* kSayNothing[] = {"INSERT INTO owned (by, a) VALUES ('x', 1)",
                                         "UPDATE owned SET a = 1", "INSERT INTO t VALUES (1)",
                                         "ALTER TABLE t ADD by text DEFAULT 'user'"};
  for (const Users users : {Users::Same, Users::Differ}) {
    const bool same = users == Users::Same;
    for (const char* const sql : kSay) {
      CAPTURE(sql);
      Reading reading;  // what is redefined is not believed after it
      reading.users = users;
      CHECK(reading.query(sql).deterministic == same);
      CHECK(reading.facts().is_alike(*reading.reader.texts()[0]) == same);
      const bool defines = reading.facts().strongest == SqlClass::Ddl;
      CHECK(reading.facts().is_for_one() == (!same && !defines));
    }
    Reading reading;
    reading.users = users;
    for (const char* const sql : kSayNothing) {
      CAPTURE(sql);
      CHECK(reading.query(sql).deterministic);
    }
    CHECK(reading.query("SELECT a, current_user FROM v_mine").only_reads);
    CHECK(reading.facts().deterministic);
  }
}

TEST_CASE("unit facts: EXECUTE does what was prepared, and that has a limit") {
  Reading reading;
  reading.query("PREPARE p AS SELECT * FROM t");
  CHECK_FALSE(reading.query("EXECUTE p").writes);
  CHECK_FALSE(reading.facts().changes_session);
  CHECK(reading.reader.named_by_sql() == std::vector<std::string>{"p"});
  reading.query("PREPARE p AS DELETE FROM t");  // DEALLOCATE may have failed
  CHECK(reading.query("EXECUTE p").writes);
  for (std::size_t i = 1; i < kPreparedMax; ++i) {
    reading.query("PREPARE p" + std::to_string(i) + " AS SELECT 1");
  }
  CHECK_FALSE(reading.query("EXECUTE p" + std::to_string(kPreparedMax - 1)).writes);
  reading.query("PREPARE one_more AS SELECT 1");
  CHECK(reading.query("EXECUTE one_more").writes);
}

TEST_CASE("unit facts: EXECUTE may do what a Parse has made by its name since") {
  Reading reading;
  reading.query("PREPARE p AS SELECT * FROM t");
  reading.query("DEALLOCATE p");
  reading.begin();
  const auto made = reading.send(parse("p", "DELETE FROM t"));
  CHECK(reading.query("EXECUTE p").writes);
  reading.state.answered(made, '1', {});
  CHECK(reading.query("EXECUTE p").writes);
  CHECK(reading.facts().written_listed);
  // In the unit that makes it, too.
  Reading other;
  other.query("PREPARE p AS SELECT * FROM t");
  other.begin();
  other.tell(parse("p", "DELETE FROM t"));
  other.tell(parse("", "EXECUTE p"));
  other.tell(bind(""));
  CHECK(std::ranges::all_of(other.reader.texts(), [](const auto& text) { return text->writes; }));
}

TEST_CASE("unit facts: behind code that is not seen EXECUTE may do anything, until that is told") {
  const auto runs = [](Reading& reading, const char* sql) -> const UnitFacts& {
    reading.query("PREPARE p AS SELECT * FROM t");
    reading.query("PREPARE untold AS SELECT set_config($1, $2, false)");
    CHECK(reading.query("EXECUTE p").only_reads);
    reading.query(sql);
    return reading.query("EXECUTE p");
  };
  for (const char* const sql :
       {"DO $$BEGIN DEALLOCATE p; EXECUTE 'PREPARE p AS DELETE FROM t'; END$$",
        "CALL nobody_knows()", "SELECT f_volatile()", "SELECT a::badtype FROM t", "not SQL"}) {
    CAPTURE(sql);
    Reading reading;
    CHECK(runs(reading, sql).writes);
    CHECK_FALSE(reading.facts().written_listed);
    reading.query("EXECUTE untold('app.x', '1')");  // what is known of it is not lost
    CHECK(reading.reader.sets_untold());
    reading.told({by_sql("p", "PREPARE p AS DELETE FROM t"), by_sql("q", "PREPARE q AS SELECT 1")});
    CHECK(reading.query("EXECUTE p").writes);
    CHECK(reading.facts().written_listed);
    CHECK(reading.query("EXECUTE q").only_reads);
    CHECK_FALSE(reading.query("EXECUTE untold").written_listed);  // it is no more
  }
  for (const char* const sql :
       {"SELECT f_stable()", "UPDATE t SET a = 1", "CREATE TABLE x (a int)"}) {
    CAPTURE(sql);
    Reading reading;
    CHECK(runs(reading, sql).only_reads);
  }
  Reading bound;
  bound.query("PREPARE p AS SELECT * FROM t");
  bound.begin();
  const auto made = bound.send(parse("s", "SELECT f_volatile()"));
  bound.state.answered(made, '1', {});
  bound.told({by_sql("p", "PREPARE p AS SELECT * FROM t")});
  CHECK(bound.query("EXECUTE p").only_reads);
  bound.begin();
  bound.tell(bind("s"));
  CHECK(bound.query("EXECUTE p").writes);
}

TEST_CASE("unit facts: a pipelined unit costs in proportion to its messages") {
  enum class Names : std::uint8_t { One, Several };
  for (const Names names : {Names::One, Names::Several}) {
    CAPTURE(static_cast<int>(names));
    const auto read = [&](std::size_t pairs) {
      Reading reading;
      for (std::size_t i = 0; i < pairs; ++i) {
        const std::string name = names == Names::One ? "" : "s" + std::to_string(i);
        reading.tell(parse(name, "SELECT * FROM t"));
        reading.tell(bind(name));
      }
      CHECK(reading.facts().only_reads);
    };
    read(1'000);
    const double few = seconds_for([&] { read(1'000); });
    const double many = seconds_for([&] { read(20'000); });
    CHECK(many < 100 * few);  // 400 times as much, were it each with each
  }
}

TEST_CASE("unit facts: so does one of many portals") {
  const auto read = [&](std::size_t portals) {
    Reading reading;
    reading.tell(parse("", "SELECT * FROM t"));
    for (std::size_t i = 0; i < portals; ++i) {
      reading.tell(bind_portal("p" + std::to_string(i), ""));
    }
    for (std::size_t i = 0; i < portals; ++i) reading.tell(execute("p" + std::to_string(i)));
    CHECK(reading.facts().only_reads);
  };
  read(1'000);
  const double few = seconds_for([&] { read(1'000); });
  const double many = seconds_for([&] { read(20'000); });
  CHECK(many < 100 * few);  // 400 times as much, were it each with each
}

TEST_CASE("unit facts: a portal runs the last of the unnamed statements before it") {
  Reading reading;
  reading.tell(parse("", "UPDATE t SET a = 1"));
  reading.tell(bind(""));
  reading.tell(execute(""));
  reading.tell(parse("", "SELECT a FROM t"));
  reading.tell(bind_portal("p", ""));
  CHECK(reading.facts().writes);
  reading.begin();
  reading.tell(execute("p"));
  CHECK_FALSE(reading.facts().writes);
  reading.begin();
  reading.tell(parse("", "SELECT a FROM t"));
  reading.tell(parse("", "UPDATE t SET a = 1"));
  reading.tell(bind_portal("q", ""));
  reading.begin();
  reading.tell(execute("q"));
  CHECK(reading.facts().writes);
}

TEST_CASE("unit facts: settings that code names are told, and whether all are") {
  Reading reading;
  const auto names = [&](std::string_view sql) {
    reading.query(sql);
    return reading.reader.custom_settings();
  };
  using Names = std::vector<std::string>;
  CHECK(names("DO $$BEGIN PERFORM set_config('app.x', '1', false); END$$") == Names{"app.x"});
  CHECK_FALSE(reading.reader.sets_untold());
  CHECK(names("SET app.x = 1; this is no SQL") == Names{"app.x"});
  CHECK(names("CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS "
              "'BEGIN SET app.x = 1; PERFORM set_config(n, v, false); END'") == Names{"app.x"});
  CHECK_FALSE(reading.reader.sets_untold());  // it does not run yet
  for (const char* const sql :
       {"DO $$BEGIN PERFORM set_config('app' || '.x', '1', false); END$$", "SELECT setseed(0.5)",
        "SELECT set_config($1, $2, false)", "SELECT set_config(n, v, false), this is no SQL"}) {
    CAPTURE(sql);
    reading.query(sql);
    CHECK(reading.reader.sets_untold());
    CHECK(reading.facts().changes_session);
  }
  reading.query("PREPARE untold AS SELECT set_config($1, $2, false)");
  reading.query("EXECUTE untold('app.x', '1')");
  CHECK(reading.reader.sets_untold());
  reading.query("SELECT 1");
  CHECK_FALSE(reading.reader.sets_untold());
}

TEST_CASE("unit facts: texts of PREPARE have a limit together") {
  Reading reading;
  const std::string filler(30'000, 'x');
  for (std::size_t i = 0; i * filler.size() < kPreparedBytesMax; ++i) {
    reading.query("PREPARE p" + std::to_string(i) + " AS SELECT '" + filler + "'");
  }
  CHECK_FALSE(reading.query("EXECUTE p0").writes);
  reading.query("PREPARE p0 AS SELECT 1, '" + filler + "'");
  CHECK(reading.query("EXECUTE p0").writes);  // what it may mean is not all kept
  reading.query("PREPARE one_more AS SELECT '" + filler + "'");
}

TEST_CASE("unit facts: what can not be read whole is unknown") {
  Reading reading;
  const std::string whole = parse("s", "SELECT * FROM t");
  for (std::size_t size = kHeaderSize; size < whole.size(); ++size) {
    reading.begin();
    const std::string part = whole.substr(0, size);
    reading.reader.on_message({'P', whole.size(), 0, part});
    CHECK(reading.facts().writes);
    CHECK(reading.facts().leaves == Leaves::Unsure);
  }
  reading.begin();
  reading.tell(message('F', "abs"));
  CHECK(reading.facts().writes);
}

TEST_CASE("unit: a write that is passed a moment as text is chance, and a read as it was") {
  const auto bound = [](std::string_view value, char format) {
    std::string body = raw("\0\0\0\1\0") + format + raw("\0\1\0\0\0") +
                       static_cast<char>(value.size()) + std::string(value) + raw("\0\0");
    return message('B', body);
  };
  struct {
    const char* sql;
    const char* value;
    char format;
    bool deterministic;
  } const cases[] = {{"INSERT INTO t VALUES ($1)", "now", 0, false},
                     {"INSERT INTO t VALUES ($1)", "now", 1, true},
                     {"INSERT INTO t VALUES ($1)", "2020-01-01", 0, true},
                     {"SELECT a FROM t WHERE a > $1", "now", 0, true}};
  for (const auto& one : cases) {
    CAPTURE(one.sql);
    CAPTURE(one.value);
    Reading reading;
    reading.tell(parse("", one.sql));
    reading.tell(bound(one.value, one.format));
    CHECK(reading.facts().deterministic == one.deterministic);
  }
}

TEST_CASE("unit: some statements mind whether they are run in a transaction block") {
  Reading reading;
  for (const char* const sql :
       {"DELETE FROM t; LOCK TABLE t", "DELETE FROM t; DECLARE c CURSOR FOR SELECT 1",
        "DELETE FROM t; SET LOCAL work_mem = 1", "DELETE FROM t; SET CONSTRAINTS ALL DEFERRED",
        "DELETE FROM t; FETCH c"}) {
    CAPTURE(sql);
    CHECK(reading.query(sql).minds_blocks);
  }
  CHECK_FALSE(reading.query("DELETE FROM t; SELECT a FROM t FOR UPDATE").minds_blocks);
  reading.query("PREPARE d AS DELETE FROM t");
  CHECK_FALSE(reading.query("EXECUTE d").minds_blocks);
}

}  // namespace
}  // namespace crossfade::postgres
