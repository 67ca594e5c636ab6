// Steps: what each statement does to transactions, to the session and by COPY, in order.
#include <doctest/doctest.h>

#include "tests/unit/protocols/postgres/sql_samples.h"

namespace crossfade::postgres {
namespace {

using Transaction = TransactionStep;
using Session = SessionStep;

// The only step of `sql`.
template <class Kind>
Kind step_of(std::string_view sql) {
  CAPTURE(sql);
  const SqlFacts facts = facts_of(sql);
  REQUIRE(facts.steps.size() == 1);
  REQUIRE(std::holds_alternative<Kind>(facts.steps[0].what));
  return std::get<Kind>(facts.steps[0].what);
}

Transaction transaction(Transaction::What what, const char* name = "") {
  Transaction step;
  step.what = what;
  step.name = name;
  return step;
}

void check_session(std::string_view sql, Session::What what, std::string_view name,
                   Session::Scope scope = Session::Scope::Session) {
  CAPTURE(sql);
  const auto step = step_of<Session>(sql);
  CHECK(step.what == what);
  CHECK(step.name == name);
  CHECK(step.scope == scope);
  CHECK(step.text == sql);
}

TEST_CASE("sql steps: each way to control a transaction is told apart") {
  using enum Transaction::What;
  const auto is = [](const char* sql, const Transaction& expected) {
    CAPTURE(sql);
    CHECK(step_of<Transaction>(sql) == expected);
  };
  is("BEGIN", transaction(Begin));
  is("START TRANSACTION", transaction(Begin));
  is("COMMIT", transaction(Commit));
  is("END", transaction(Commit));
  is("ROLLBACK", transaction(Rollback));
  is("ABORT", transaction(Rollback));
  is("SAVEPOINT \"A b\"", transaction(Savepoint, "A b"));
  is("ROLLBACK TO SAVEPOINT a", transaction(RollbackTo, "a"));
  is("RELEASE a", transaction(Release, "a"));
  is("PREPARE TRANSACTION 'x y'", transaction(Prepare, "x y"));
  is("COMMIT PREPARED 'x'", transaction(CommitPrepared, "x"));
  is("ROLLBACK PREPARED 'x'", transaction(RollbackPrepared, "x"));
  Transaction chained = transaction(Commit);
  chained.chain = true;
  is("COMMIT AND CHAIN", chained);
  is("COMMIT AND NO CHAIN", transaction(Commit));
}

TEST_CASE("sql steps: the modes of a transaction are those that were said") {
  using enum Transaction::Isolation;
  const auto modes = [](const char* sql) { return step_of<Transaction>(sql); };
  CHECK(modes("BEGIN").access == Transaction::Access::Unsaid);
  CHECK(modes("BEGIN READ ONLY").access == Transaction::Access::ReadOnly);
  CHECK(modes("BEGIN READ WRITE").access == Transaction::Access::ReadWrite);
  CHECK(modes("BEGIN ISOLATION LEVEL SERIALIZABLE").isolation == Serializable);
  CHECK(modes("BEGIN ISOLATION LEVEL REPEATABLE READ").isolation == RepeatableRead);
  CHECK(modes("BEGIN ISOLATION LEVEL READ COMMITTED").isolation == ReadCommitted);
  CHECK(modes("BEGIN ISOLATION LEVEL READ UNCOMMITTED").isolation == ReadUncommitted);
  const auto all = modes("START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE");
  CHECK(all.isolation == Serializable);
  CHECK(all.access == Transaction::Access::ReadOnly);
  CHECK(all.deferral == Transaction::Deferral::Deferrable);
  CHECK(modes("BEGIN NOT DEFERRABLE").deferral == Transaction::Deferral::NotDeferrable);
}

TEST_CASE("sql steps: every way to set a transaction's modes is one") {
  const auto modes = [](const char* sql) { return step_of<Transaction>(sql); };
  for (const char* const sql :
       {"SET TRANSACTION READ ONLY", "SET transaction_read_only = on",
        "SET LOCAL transaction_read_only TO true", "SET transaction_read_only = 1"}) {
    CAPTURE(sql);
    CHECK(modes(sql).what == Transaction::What::SetModes);
    CHECK(modes(sql).access == Transaction::Access::ReadOnly);
  }
  CHECK(modes("SET transaction_read_only = off").access == Transaction::Access::ReadWrite);
  CHECK(modes("SET transaction_isolation = 'serializable'").isolation ==
        Transaction::Isolation::Serializable);
  CHECK(modes("RESET transaction_isolation").what == Transaction::What::SetModes);
}

TEST_CASE("sql steps: what changes the session has its name, its scope and its text") {
  using enum Session::What;
  constexpr auto kLocal = Session::Scope::Transaction;
  check_session("SET search_path = a, b", Set, "search_path");
  check_session("SET LOCAL work_mem TO '1MB'", Set, "work_mem", kLocal);
  check_session("SET \"App\".Tenant = '7'", Set, "App.tenant");
  check_session("SET TIME ZONE 'UTC'", Set, "timezone");
  check_session("SET NAMES 'UTF8'", Set, "client_encoding");
  check_session("SET ROLE r", Set, "role");
  check_session("SET SESSION AUTHORIZATION r", Set, "session_authorization");
  check_session("SET work_mem TO DEFAULT", Reset, "work_mem");
  check_session("RESET work_mem", Reset, "work_mem");
  check_session("RESET SESSION AUTHORIZATION", Reset, "session_authorization");
  check_session("RESET ALL", ResetAll, "");
  check_session("SET CONSTRAINTS ALL DEFERRED", SetConstraints, "", kLocal);
  check_session("DISCARD ALL", DiscardAll, "");
  check_session("DISCARD PLANS", DiscardPlans, "");
  check_session("DISCARD SEQUENCES", DiscardSequences, "");
  check_session("DISCARD TEMPORARY", DiscardTemp, "");
  check_session("DEALLOCATE PREPARE p", Deallocate, "p");
  check_session("DEALLOCATE ALL", Deallocate, "");
  check_session("LISTEN c", Listen, "c");
  check_session("UNLISTEN c", Unlisten, "c");
  check_session("UNLISTEN *", Unlisten, "");
  check_session("DECLARE c CURSOR FOR TABLE t", Declare, "c", kLocal);
  check_session("DECLARE c SCROLL CURSOR WITH HOLD FOR TABLE t", DeclareHold, "c");
  check_session("FETCH ALL IN c", Fetch, "c");
  check_session("MOVE FORWARD 3 FROM c", Move, "c");
  check_session("CLOSE c", Close, "c");
  check_session("CLOSE ALL", Close, "");
  check_session("LOAD 'x'", Load, "x");
}

TEST_CASE("sql steps: a local set_config says what it sets") {
  const auto step = step_of<Session>("SELECT set_config('app.tenant', $1, true)");
  CHECK(step.name == "app.tenant");
  CHECK(step.scope == Session::Scope::Transaction);
  CHECK(step.text.empty());  // a SELECT of very many would keep as many copies of itself
}

TEST_CASE("sql steps: PREPARE carries the facts of what EXECUTE will run") {
  const auto step = step_of<Session>("PREPARE p (int) AS INSERT INTO t VALUES ($1)");
  CHECK(step.what == Session::What::Prepare);
  REQUIRE(step.inner != nullptr);
  CHECK(words_of(*step.inner) == "write w:t");
}

TEST_CASE("sql steps: EXECUTE does what its statement and its parameters do") {
  const SqlFacts execute = facts_of("EXECUTE p (1)");
  CHECK(execute.writes);
  CHECK(words_of(executed(execute, facts_of("SELECT a FROM t ORDER BY a"))) ==
        "pure_read sorted r:t");
  CHECK(words_of(executed(execute, facts_of("INSERT INTO t VALUES ($1)"))) == "write w:t");
  CHECK(executed(execute, facts_of("SELECT 1")).steps.size() == 1);
  const SqlFacts drawing = facts_of("EXECUTE p (random())");
  CHECK(words_of(executed(drawing, facts_of("INSERT INTO t VALUES ($1)"))) ==
        "nondeterministic_write drawn w:t");
  const SqlFacts writing = facts_of("EXECUTE p (nextval('seq'))");
  CHECK(words_of(executed(writing, facts_of("SELECT $1"))) == "nondeterministic_write drawn");
  const SqlFacts several = facts_of("EXECUTE p; SELECT 1");
  CHECK(executed(several, facts_of("SELECT 1")).strongest == SqlClass::Unknown);
}

TEST_CASE("sql steps: COPY says which way, where and which table") {
  using enum CopyStep::Place;
  const TableName table{"s", "u"};
  CHECK(step_of<CopyStep>("COPY s.u FROM STDIN") == CopyStep{CopyStep::Way::From, Client, table});
  CHECK(step_of<CopyStep>("COPY s.u TO STDOUT") == CopyStep{CopyStep::Way::To, Client, table});
  CHECK(step_of<CopyStep>("COPY s.u FROM '/x'") == CopyStep{CopyStep::Way::From, File, table});
  CHECK(step_of<CopyStep>("COPY s.u TO PROGRAM 'x'") ==
        CopyStep{CopyStep::Way::To, Program, table});
  CHECK(step_of<CopyStep>("COPY (TABLE t) TO STDOUT") ==
        CopyStep{CopyStep::Way::To, Client, TableName{}});
}

TEST_CASE("sql steps: several statements keep their order and their own texts") {
  const SqlFacts facts =
      facts_of("BEGIN; SET a.b = 1; INSERT INTO t VALUES (1) /* x */; COMMIT; LISTEN c");
  CHECK(facts.statements == 5);
  REQUIRE(facts.steps.size() == 4);
  CHECK(std::get<Transaction>(facts.steps[0].what).what == Transaction::What::Begin);
  CHECK(std::get<Session>(facts.steps[1].what).text == "SET a.b = 1");
  CHECK(facts.steps[1].statement == 1);
  CHECK(std::get<Transaction>(facts.steps[2].what).what == Transaction::What::Commit);
  CHECK(facts.steps[2].statement == 3);
  CHECK(std::get<Session>(facts.steps[3].what).text == "LISTEN c");
}

TEST_CASE("sql steps: beyond the limit of steps nothing is known; tables are left out") {
  const auto repeated = [](const std::string& sql, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) all += sql + ";";
    return all;
  };
  CHECK(facts_of(repeated("COMMIT", kStepsMax)).steps.size() == kStepsMax);
  CHECK(facts_of(repeated("COMMIT", kStepsMax + 1)).strongest == SqlClass::Unknown);
  CHECK(facts_of(repeated("SELECT 1", kStepsMax + 1)).strongest == SqlClass::PureRead);
  const auto truncate = [](std::size_t tables) {
    std::string sql = "TRUNCATE t";
    for (std::size_t i = 1; i < tables; ++i) sql += ", s.t" + std::to_string(i);
    return facts_of(sql);
  };
  CHECK(truncate(kTablesMax).written.size() == kTablesMax);
  CHECK(truncate(kTablesMax + 1).written.size() == kTablesMax);
  CHECK(!truncate(kTablesMax + 1).writes_listed);
}

TEST_CASE("sql facts: only a certain read may run on either side") {
  CHECK(facts_of("SELECT 1").only_reads());
  CHECK(facts_of("SELECT random()").only_reads());
  for (const char* const sql :
       {"BEGIN", "SET a.b = 1", "SELECT nextval('seq')", "SELECT pg_advisory_lock(1)",
        "TABLE t; LISTEN c", "SELECT 1 FROM t FOR SHARE", "COPY t TO STDOUT", "SELEC"}) {
    CAPTURE(sql);
    CHECK(!facts_of(sql).only_reads());
  }
}

TEST_CASE("sql facts: their kind is that of counters") {
  CHECK(kind_of(facts_of("SELECT 1")) == Kind::Read);
  CHECK(kind_of(facts_of("COPY t TO STDOUT")) == Kind::Read);
  CHECK(kind_of(facts_of("COPY t FROM STDIN")) == Kind::Write);
  CHECK(kind_of(facts_of("INSERT INTO t VALUES (1)")) == Kind::Write);
  CHECK(kind_of(unknown_sql()) == Kind::Write);
  CHECK(kind_of(facts_of("BEGIN")) == Kind::Other);
}

}  // namespace
}  // namespace crossfade::postgres
