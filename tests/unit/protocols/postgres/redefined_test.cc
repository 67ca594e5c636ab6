// What was redefined since the catalog was read, within a unit and before it: by whom it is
// doubted.
#include "protocols/postgres/redefined.h"

#include <doctest/doctest.h>

#include "protocols/postgres/sql_catalog_learn.h"
#include "protocols/postgres/unit_facts.h"
#include "tests/unit/protocols/postgres/reading.h"

namespace crossfade::postgres {
namespace {

// Of a server whose f is as that mark says: volatility and author.
std::shared_ptr<const SqlCatalog> catalog_with_f(std::string_view mark) {
  const SqlCatalogRow rows[] = {{"f", "public", "f", mark, ""}};
  return *learn_sql_catalog(rows, {});
}

TEST_CASE("redefined: statements do what their functions do by now") {
  Reading reading;
  reading.adopt(catalog_with_f("su"));
  reading.begin();
  const auto named = reading.send(parse("s", "SELECT f()"));
  const auto unnamed = reading.send(parse("", "SELECT f(), 1"));
  reading.state.answered(named, '1', {});
  reading.state.answered(unnamed, '1', {});
  reading.send(parse("pending", "SELECT f(), 2"));
  reading.query("PREPARE p AS SELECT f()");
  reading.query("PREPARE p AS SELECT 1, f()");
  reading.query("PREPARE q AS SELECT 1");
  for (const std::string_view mark : {"su", "vu", "su"}) {
    CAPTURE(mark);
    reading.adopt(catalog_with_f(mark));
    CHECK_FALSE(reading.query("EXECUTE q").writes);
    CHECK(reading.query("EXECUTE p").writes == (mark == "vu"));
    for (const char* const name : {"s", "", "pending"}) {
      CAPTURE(name);
      reading.begin();
      reading.tell(bind(name));
      CHECK(reading.facts().writes == (mark == "vu"));
    }
    // A volatile f may have made others of them.
    reading.told({by_sql("p", "PREPARE p AS SELECT f()"), by_sql("q", "PREPARE q AS SELECT 1")});
    reading.query("PREPARE p AS SELECT 1, f()");
  }
}

TEST_CASE("redefined: what was not read is not read later, either") {
  Reading reading;
  reading.send(parse("s", "this is no SQL"));
  reading.adopt(catalog_with_f("su"));
  reading.begin();
  reading.tell(bind("s"));
  CHECK(reading.facts().writes);
}

TEST_CASE("redefined: what was redefined since the catalog was read is not believed") {
  constexpr const char* kFunction =
      "CREATE OR REPLACE FUNCTION f_stable() RETURNS int LANGUAGE sql AS 'SELECT 1'";
  constexpr const char* kTrigger =
      "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
  constexpr const char* kDefault = "ALTER TABLE t ALTER a SET DEFAULT random()";
  struct {
    const char* first;
    const char* then;
    bool doubted;
  } const cases[] = {
      {kFunction, "SELECT f_stable()", true},
      {kFunction, "SELECT * FROM v", true},
      {kFunction, "SELECT a::posint FROM t", true},
      {kFunction, "SELECT a::text, lower('x') FROM t", false},
      {kFunction, "INSERT INTO t VALUES (1)", false},
      {kFunction, "ALTER TABLE t ADD c int", false},  // definitions are run by both
      {kTrigger, "INSERT INTO t VALUES (1)", true},
      {kTrigger, "INSERT INTO s.u VALUES (1)", false},
      {kTrigger, "INSERT INTO part VALUES (1)", true},  // it may be its partition's
      {kTrigger, "CREATE INDEX i ON t (a)", false},
      {kDefault, "INSERT INTO t VALUES (1)", true},
      {kDefault, "SELECT * FROM v", false},
      {"ALTER TABLE t ADD c int DEFAULT random()", "INSERT INTO t (a) VALUES (1)", true},
      {"ALTER TABLE t ADD c int REFERENCES parent ON DELETE CASCADE", "DELETE FROM parent", true},
      {"CREATE TABLE u (a serial)", "INSERT INTO u VALUES (1)", true},  // another u
      {"ALTER TABLE t ADD c int NOT NULL REFERENCES parent", "INSERT INTO t VALUES (1)", false},
      {"ALTER TABLE t ADD c int REFERENCES u ON DELETE CASCADE", "DELETE FROM u", true},
      {"CREATE TABLE n (c int REFERENCES s.u ON UPDATE SET NULL)", "UPDATE s.u SET a = 1", true},
      {"CREATE TABLE n () INHERITS (u)", "UPDATE u SET a = 1", true},
      {"ALTER TABLE t INHERIT u", "UPDATE u SET a = 1", true},
      {"ALTER TABLE t ATTACH PARTITION u DEFAULT", "INSERT INTO u VALUES (1)", true},
      {"ALTER TABLE t DETACH PARTITION u", "INSERT INTO u VALUES (1)", true},
      {"ALTER TABLE t ADD c int REFERENCES u", "DELETE FROM u", false},
      {"CREATE INDEX i ON t (a)", "INSERT INTO t VALUES (1)", false},
      {"ALTER TABLE t ADD c int DEFAULT 3 CHECK (c > 0)", "INSERT INTO t (a) VALUES (1)", false},
      {"ALTER TABLE t ALTER a DROP DEFAULT", "INSERT INTO t (a) VALUES (1)", false},
      {"ALTER TABLE t ALTER a SET DEFAULT f_imm(1)", "INSERT INTO t (b) VALUES (1)", true},
      {"CREATE TEMP TABLE m (a int)", "SELECT * FROM v", false},
      {"DROP TABLE u", "SELECT * FROM v", false},
      {"ANALYZE t", "SELECT * FROM v", false}};
  for (const auto& one : cases) {
    CAPTURE(one.first);
    CAPTURE(one.then);
    const auto doubts = [&](Reading& reading) {
      return reading.query(one.then).is_for_one() && !reading.facts().written_listed;
    };
    Reading reading;
    reading.begin();
    const auto made = reading.send(parse("s", one.then));
    reading.state.answered(made, '1', {});
    CHECK_FALSE(doubts(reading));
    reading.query(one.first);
    CHECK(doubts(reading) == one.doubted);
    reading.begin();
    reading.tell(bind("s"));
    CHECK(reading.facts().is_for_one() == one.doubted);
    // Others are told of it.
    const auto redefined = std::make_shared<const Redefined>(reading.reader.take_redefined());
    CHECK_FALSE(doubts(reading));
    Reading other;
    other.elsewhere = redefined;
    CHECK(doubts(other) == one.doubted);
    other.elsewhere = nullptr;
    CHECK_FALSE(doubts(other));
    // In one query.
    const bool both = Reading().query(std::string(one.first) + ";" + one.then).deterministic;
    const bool drawn = !Reading().query(one.first).deterministic;
    CHECK(both == !(one.doubted || drawn));
  }
}

TEST_CASE("redefined: a Parse before what redefines is doubted by its Bind behind it") {
  Reading reading;
  reading.tell(parse("s", "SELECT f_stable()"));
  reading.tell(parse("", "CREATE OR REPLACE FUNCTION f_stable() RETURNS int LANGUAGE sql AS ''"));
  reading.tell(bind(""));
  CHECK(reading.facts().drawn_by_definitions);
  reading.tell(bind("s"));
  CHECK(reading.facts().is_for_one());
  CHECK(reading.reader.facts_of_parse(0)->only_reads());  // it is as the catalog says, later
}

TEST_CASE("redefined: text that was not read may redefine when it says so") {
  struct Sample {
    const char* sql;
    bool may;
  };
  for (const Sample& sample :
       {Sample{"CREATE FUNCTION in words of tomorrow", true}, Sample{"not SQL; Alter this", true},
        Sample{"recreated not SQL", false}}) {
    CAPTURE(sample.sql);
    Reading reading;
    reading.query(sample.sql);
    CHECK(reading.query("SELECT f_stable()").writes == sample.may);
  }
}

TEST_CASE("redefined: of very many tables that were redefined any may be one") {
  Reading reading;
  const auto create = [&](std::size_t i) {
    reading.query("CREATE TABLE t" + std::to_string(i) + " (a int)");
  };
  for (std::size_t i = 0; i < kRedefinedMax; ++i) create(i);
  CHECK(reading.query("SELECT * FROM t").only_reads);
  create(kRedefinedMax);
  CHECK_FALSE(reading.query("SELECT * FROM t").only_reads);
}

TEST_CASE("redefined: of many Parses by a name each counts for its Bind") {
  Reading reading;
  for (int i = 0; i < 40; ++i) {
    reading.tell(parse("s" + std::to_string(i), "SELECT * FROM t"));
    reading.tell(parse("s7", i == 3 ? "SELECT f_stable()" : "SELECT a FROM t"));
  }
  CHECK(reading.facts().only_reads);
  reading.tell(parse("", "CREATE OR REPLACE FUNCTION f_stable() RETURNS int LANGUAGE sql AS ''"));
  reading.tell(bind("s39"));
  CHECK(reading.facts().drawn_by_definitions);
  reading.tell(bind("s7"));
  CHECK(reading.facts().is_for_one());
}

TEST_CASE("redefined: a text is doubted for what stands beside its definitions") {
  constexpr const char* kTrigger =
      "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()";
  constexpr struct {
    const char* first;
    const char* then;
    bool doubted;
  } cases[] = {{kTrigger, "CREATE INDEX i ON u (a); INSERT INTO t VALUES (1)", true},
               {kTrigger, "CREATE INDEX i ON t (a); INSERT INTO t VALUES (1)", true},
               {kTrigger, "CREATE INDEX i ON u (a); SELECT * FROM v", true},
               {kTrigger, "CREATE INDEX i ON t (a); INSERT INTO s.u VALUES (1)", false},
               {kTrigger, "BEGIN; CREATE INDEX i ON t (a); COMMIT", false},
               {"CREATE TABLE made (a int); INSERT INTO t VALUES (1)",
                "CREATE TABLE made (a int); INSERT INTO t VALUES (1)", false}};  // read again
  for (const auto& one : cases) {
    CAPTURE(std::string(one.then));
    Reading reading;
    CHECK_FALSE(reading.query(one.then).is_for_one());
    reading.reader.take_redefined();
    reading.query(one.first);
    CHECK(reading.facts().parts == 1);
    CHECK(reading.query(one.then).is_for_one() == one.doubted);
  }
}

TEST_CASE("redefined: a definition of an earlier unit is noted when it is run") {
  constexpr const char* kFunction =
      "CREATE OR REPLACE FUNCTION f_stable() RETURNS int LANGUAGE sql AS 'SELECT 1'";
  for (const char* const sql : {kFunction, "CREATE FUNCTION in words of tomorrow"}) {
    CAPTURE(sql);
    Reading reading;
    const auto made = reading.send(parse("d", sql));
    CHECK(reading.reader.take_redefined().others);
    reading.state.answered(made, '1', {});
    reading.begin();
    reading.tell(bind("d"));
    CHECK(reading.reader.take_redefined().others);
  }
  Reading reading;
  reading.tell(parse("", kFunction));
  reading.tell(bind(""));
  CHECK(reading.reader.take_redefined().others);
  reading.begin();
  reading.tell(execute(""));
  CHECK(reading.reader.take_redefined().others);
  CHECK_FALSE(reading.query("SELECT f_stable()").writes);
}

}  // namespace
}  // namespace crossfade::postgres
