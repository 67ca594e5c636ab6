// Transactions on two sides: what has been committed, what the second side is to run, and what is
// suspected afterwards.
#include "proxy/postgres/dual_transaction.h"

#include <doctest/doctest.h>

#include <deque>
#include <string>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/types.h"
#include "tests/unit/protocols/postgres/bytes.h"
#include "tests/unit/protocols/postgres/sql_samples.h"

namespace crossfade::postgres {
namespace {

using Frame = DualTransaction::Frame;

Piece piece_of(const std::string& bytes) { return {bytes[0], bytes.size(), 0, bytes}; }

// One transaction, and Queries that it consists of.
class Told {
 public:
  DualTransaction transaction{nullptr, Side::Old, 1};

  // The first side answers it with these command tags.
  void query(Frame frame, std::string_view sql, std::initializer_list<const char*> tags,
             Transaction status = Transaction::Idle) {
    transaction.begin_unit(frame, 2);
    reader_.begin(classifier_, SqlReading::Standard);
    std::string& bytes = told_.emplace_back();
    append_query(bytes, sql);
    reader_.on_message(piece_of(bytes));
    transaction.add(reader_);
    transaction.rows.on_request(piece_of(bytes));
    for (const char* const tag : tags) {
      transaction.digests[0].on_piece(
          piece_of(message(from_server::kCommandComplete, std::string(tag) + '\0')));
    }
    transaction.status = status;
  }
  const UnitReader& reader() const { return reader_; }

 private:
  std::deque<std::string> told_;
  SqlClassifier classifier_{sample_catalog(), {}};
  SessionState state_;
  UnitReader reader_{state_};
};

// "t:unsent all": tables in their order, and whether any other may differ.
std::string words(const DualTransaction::Doubts& doubts) {
  std::string said;
  for (const Suspect& suspect : doubts.tables) {
    said += suspect.at.key + ':' + std::string(name_of(suspect.doubt)) + ' ';
  }
  if (doubts.all) said += "all ";
  if (!said.empty()) said.pop_back();
  return said;
}

TEST_CASE("dual transaction: what both sides have done alike is not suspected") {
  Told told;
  told.query(Frame::Wrapped, "insert into t values (1)", {"INSERT 0 1"});
  CHECK(told.transaction.for_second);
  CHECK(told.transaction.committed());
  CHECK_FALSE(told.transaction.doubts().any());
}

TEST_CASE("dual transaction: what may end differently is for the first side, and suspected") {
  for (const char* const sql : {"insert into t values (random())", "copy t from stdin"}) {
    CAPTURE(sql);
    Told told;
    told.query(Frame::Bare, sql, {"INSERT 0 1"});
    CHECK_FALSE(told.transaction.for_second);
    CHECK(words(told.transaction.doubts()) == "t:chance");
  }
}

TEST_CASE("dual transaction: a definition that draws is for both sides, and suspected") {
  for (const char* const sql :
       {"alter table t add x int default random()", "refresh materialized view t",
        "create table t as select random()", "select random() into t",
        "begin; alter table t add x serial; commit"}) {
    CAPTURE(sql);
    Told told;
    told.query(Frame::Bare, sql, {"ALTER TABLE"});
    CHECK(told.transaction.for_second);
    CHECK(words(told.transaction.doubts()) == "t:chance");
  }
  for (const char* const sql : {"alter table t add x int default 1", "create index on t (a)"}) {
    CAPTURE(sql);
    Told told;
    told.query(Frame::Bare, sql, {"ALTER TABLE"});
    CHECK(told.transaction.for_second);
    CHECK_FALSE(told.transaction.doubts().any());
  }
}

TEST_CASE("dual transaction: a definition that runs hidden code makes all suspected") {
  Told told;
  told.query(Frame::Bare, "create table t as select f_volatile(1)", {"SELECT 1"});
  CHECK(told.transaction.for_second);
  CHECK(words(told.transaction.doubts()) == "t:chance all");
}

TEST_CASE("dual transaction: an EXECUTE whose parameters are drawn is for the first side") {
  Told told;
  told.query(Frame::Bare, "prepare p as insert into t values ($1)", {"PREPARE"});
  told.query(Frame::Bare, "execute p (random())", {"INSERT 0 1"});
  CHECK_FALSE(told.transaction.for_second);
}

TEST_CASE("dual transaction: a write that draws beside a definition is for the first side") {
  Told told;
  told.query(Frame::Bare, "insert into u values (random()); create table t ()", {"CREATE TABLE"});
  CHECK_FALSE(told.transaction.for_second);
  CHECK(told.transaction.doubts().all);
}

TEST_CASE("dual transaction: once the second side is left out all its tables are suspected") {
  Told told;
  told.query(Frame::Block, "insert into t values (1)", {"INSERT 0 1"}, Transaction::Open);
  told.transaction.leave_out(Drop::SideDown, Doubt::Unsent);
  told.transaction.leave_out(Drop::Timeout, Doubt::Unanswered);  // the first reason stays
  told.query(Frame::Block, "update u set id = 2", {"UPDATE 1"}, Transaction::Open);
  CHECK_FALSE(told.transaction.for_second);
  CHECK(words(told.transaction.doubts()) == "t:unsent u:unsent");
  told.transaction.forget_tables();
  CHECK_FALSE(told.transaction.doubts().any());
}

TEST_CASE("dual transaction: what is made from its own doubts is suspected") {
  Told told;
  told.query(Frame::Block, "insert into s.u values (random())", {"INSERT 0 1"}, Transaction::Open);
  CHECK_FALSE(told.transaction.reads_doubtful());  // it reads nothing
  told.query(Frame::Block, "insert into t select 1 from jobs", {"INSERT 0 1"}, Transaction::Open);
  CHECK_FALSE(told.transaction.reads_doubtful());
  told.query(Frame::Block, "insert into parent select 1 from u", {"INSERT 0 1"}, Transaction::Open);
  CHECK(told.transaction.reads_doubtful());
  told.transaction.spread();
  CHECK(told.transaction.doubts().all);  // what cascades from parent is not listed
  told.transaction.forget_tables();
  told.query(Frame::Block, "insert into t select 1 from v", {"INSERT 0 1"}, Transaction::Open);
  CHECK_FALSE(told.transaction.sources_listed);
  CHECK_FALSE(told.transaction.reads_doubtful());
  told.transaction.spread();
  CHECK(words(told.transaction.doubts()) == "t:spread");
  told.transaction.leave_out(Drop::SideDown, Doubt::Unsent);
  CHECK(words(told.transaction.doubts()) == "t:spread");
}

TEST_CASE("dual transaction: different answers make its tables suspected") {
  Told told;
  told.query(Frame::Wrapped, "update t set id = 2", {"UPDATE 1"});
  told.transaction.differs = true;
  CHECK(words(told.transaction.doubts()) == "t:replies");
}

// "t (a=1):unsent": rows in their order.
std::string rows_in(const DualTransaction& transaction, DualTransaction::Doubts doubts) {
  const std::string before = words(doubts);
  transaction.name_rows(doubts, transaction.rows_in_doubt(), *sample_catalog());
  CHECK(words(doubts) == before);  // what is suspected stays so
  std::string said;
  for (const Suspect& row : doubts.rows) {
    CHECK(row.at.db == kRowsDb);
    said += (said.empty() ? "" : " ") + row.at.key + ':' + name_of(row.doubt);
  }
  return said;
}

TEST_CASE("dual transaction: rows are named that its doubtful tables were told of") {
  Told told;
  const DualTransaction& transaction = told.transaction;
  told.query(Frame::Block, "update t set a = 2 where b = 1", {"UPDATE 1"}, Transaction::Open);
  told.query(Frame::Block, "delete from s.u where a = 3", {"DELETE 1"}, Transaction::Open);
  CHECK(rows_in(transaction, transaction.doubts()).empty());
  told.query(Frame::Block, "update s.u set b = random() where a = 4", {"UPDATE 1"},
             Transaction::Open);
  CHECK(rows_in(transaction, transaction.doubts()) == "s.u (a=4):chance");
  told.transaction.leave_out(Drop::SideDown, Doubt::Unsent);
  CHECK(rows_in(transaction, transaction.doubts()) ==
        "s.u (a=3):chance s.u (a=4):chance t (b=1):unsent");
  told.transaction.forget_tables();
  CHECK(rows_in(transaction, transaction.doubts()).empty());
}

TEST_CASE("dual transaction: rows of a unit that is made from doubts are doubtful") {
  Told told;
  told.query(Frame::Block, "update t set a = 2 where b = 1", {"UPDATE 1"}, Transaction::Open);
  told.query(Frame::Block, "update u set a = (select 1 from jobs) where b = 2", {"UPDATE 1"},
             Transaction::Open);
  told.transaction.spread();
  CHECK(rows_in(told.transaction, told.transaction.doubts()) == "u (b=2):spread");
}

TEST_CASE("dual transaction: where any table may differ no row is named") {
  Told told;
  told.query(Frame::Block, "update audited set a = 2 where b = 1", {"UPDATE 1"}, Transaction::Open);
  told.query(Frame::Block, "update t set a = 2 where b = 1", {"UPDATE 1"}, Transaction::Open);
  told.transaction.leave_out(Drop::SideDown, Doubt::Unsent);
  CHECK(told.transaction.doubts().all);
  CHECK(rows_in(told.transaction, told.transaction.doubts()).empty());
}

TEST_CASE("dual transaction: code that is not seen may have written anything") {
  Told told;
  told.query(Frame::Wrapped, "select f_volatile()", {"SELECT 1"});
  told.transaction.leave_out(Drop::SideDown, Doubt::Unsent);
  CHECK(told.transaction.doubts().all);
}

TEST_CASE("dual transaction: one that had begun before it was seen may have written anything") {
  Told told;
  told.transaction.unseen = true;
  told.query(Frame::Block, "commit", {"COMMIT"});
  CHECK(told.transaction.committed());
  told.transaction.leave_out(Drop::StateRefused, Doubt::Unsent);
  CHECK(told.transaction.doubts().all);
}

TEST_CASE("dual transaction: it has committed when a command tag or the state behind it says so") {
  struct Case {
    Frame frame;
    const char* sql;
    std::initializer_list<const char*> tags;
    Transaction status;
    bool committed, none;
  };
  const Case cases[] = {
      {Frame::Block, "insert into t values (1)", {"INSERT 0 1"}, Transaction::Open, false, false},
      {Frame::Block, "commit", {"COMMIT"}, Transaction::Idle, true, false},
      {Frame::Block, "commit", {"ROLLBACK"}, Transaction::Idle, false, true},
      {Frame::Block, "rollback", {"ROLLBACK"}, Transaction::Idle, false, false},
      {Frame::Block,
       "commit; insert into t values (1)",
       {"ROLLBACK", "INSERT 0 1"},
       Transaction::Idle,
       true,
       true},
      {Frame::Block,
       "rollback; insert into t values (1)",
       {"ROLLBACK", "INSERT 0 1"},
       Transaction::Idle,
       true,
       false},
      {Frame::Block,
       "rollback; begin; insert into t values (1)",
       {"ROLLBACK", "BEGIN", "INSERT 0 1"},
       Transaction::Open,
       false,
       false},
      {Frame::Block, "rollback; commit prepared 'p'", {"ROLLBACK"}, Transaction::Idle, true, false},
      {Frame::Block, "rollback; call p()", {"ROLLBACK", "CALL"}, Transaction::Open, true, false},
      {Frame::Block, "select f_volatile()", {"SELECT 1"}, Transaction::Open, false, false},
      {Frame::Block,
       "rollback; select 1",
       {"ROLLBACK", "SELECT 1"},
       Transaction::Idle,
       false,
       false},
      {Frame::Block, "commit; begin", {"COMMIT", "BEGIN"}, Transaction::Open, true, false},
      {Frame::Block,
       "prepare transaction 'p'",
       {"PREPARE TRANSACTION"},
       Transaction::Idle,
       true,
       false},
      {Frame::Wrapped, "insert into t values (1)", {"INSERT 0 1"}, Transaction::Open, false, false},
      {Frame::Bare, "vacuum t", {"VACUUM"}, Transaction::Idle, true, false}};
  for (const Case& one : cases) {
    CAPTURE(one.sql);
    Told told;
    told.query(one.frame, one.sql, one.tags, one.status);
    CHECK(told.transaction.committed() == one.committed);
    CHECK(told.transaction.commit_was_none() == one.none);
  }
}

TEST_CASE("dual transaction: the script is what was kept, message by message") {
  Told told;
  told.query(Frame::Block, "insert into t values (1)", {}, Transaction::Open);
  told.transaction.keep({from_client::kParse, '\0', 3}, Mark::Skip, "abc");
  told.transaction.keep({from_client::kQuery, '\0', 5}, Mark::Compare, "de");
  told.transaction.keep_more("fgh");
  CHECK(told.transaction.script == "abcdefgh");
  CHECK(told.transaction.messages.back().size == 5);
  told.transaction.forget_script();
  CHECK(told.transaction.kept() == 0);
  CHECK_FALSE(told.transaction.for_second);
  told.transaction.keep_more("i");  // of a message that was not kept
  CHECK(told.transaction.kept() == 0);
}

TEST_CASE("dual transaction: tables that are too many to tell apart are all suspected") {
  std::string sql = "begin";
  for (std::size_t i = 0; i <= DualTransaction::kTablesMax; ++i) {
    sql += "; insert into far" + std::to_string(i) + " values (1)";
  }
  Told told;
  told.query(Frame::Block, sql, {}, Transaction::Open);
  told.transaction.leave_out(Drop::SideDown, Doubt::Unsent);
  CHECK(told.transaction.doubts().all);
}

TEST_CASE("dual transaction: a unit that the first side runs alone is suspected before") {
  Told told;
  told.query(Frame::Bare, "copy t from stdin", {});
  const auto doubts = DualTransaction::doubts_of(told.reader(), Side::New);
  CHECK(words(doubts) == "t:chance");
  CHECK(doubts.tables.front().right == Side::New);
}

}  // namespace
}  // namespace crossfade::postgres
