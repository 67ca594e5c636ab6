// Judges what the parse tree of a query mentions, by the catalog: mentions in, facts out.
//
// Statement by statement. What a name stands for can only be told when the whole statement is
// known (a common table expression hides a table of its name), so names wait until its end.
// Views handed in must live until then.
//
// Knows nothing of libpg_query.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <vector>

#include "protocols/postgres/redefined.h"
#include "protocols/postgres/sql_catalog.h"
#include "protocols/postgres/sql_facts.h"
#include "protocols/postgres/sql_functions.h"

namespace crossfade::postgres {

struct SqlName {
  std::string_view schema;  // empty: none is written
  std::string_view name;
};

// A function call, as far as its text matters.
struct SqlCall {
  SqlName function;
  std::size_t arguments = 0;
  std::string_view first;     // its first argument where that is a string
  bool last_is_true = false;  // its last argument is the word true
  bool sorts_all = false;     // its rows come sorted by all that it is given of them
};

// Columns that every table has and that hold its server's own numbers.
bool is_system_column(std::string_view name);

class SqlJudge {
 public:
  explicit SqlJudge(const SqlCatalog& catalog) : catalog_(catalog) {}

  void begin_statement(std::string_view text);
  void end_statement();
  SqlFacts take();  // of all statements; ends the judge's work

  // What expressions mention.
  void calls(const SqlCall& call);
  void uses_operator(const SqlName& name);
  void casts_to(std::string_view type);
  void selects_field(std::string_view name);
  void holds_text(std::string_view text);  // a string constant
  void asks_default();                     // DEFAULT in place of a value
  void takes_parameter(int number);        // $number
  void hides_parameters() { current_.parameters.reset(); }
  // Whether what is found there stays as it is until the transaction ends.
  enum class Rows : std::uint8_t { Free, Locked };
  void reads(const SqlName& table, Rows rows) { reads_.push_back({table, rows}); }
  void finds_absent() { current_.reads_beside = true; }  // nobody locks what is not there
  void names_query(std::string_view name) { queries_.push_back(name); }  // WITH name AS

  // What statements do. `columns` empty: all of them.
  void inserts(const SqlName& table, std::vector<std::string_view> columns);
  void changes(const SqlName& table);
  void defines(const SqlName& table);
  void locks(SqlLock lock);
  void is_drawn() { current_.deterministic = false; }
  // What it finds is good enough to read, but two servers that write it may end unequal: rows that
  // sort alike come in any order.
  void is_drawn_in_writes() { finds_ = Finds::OneOfMany; }
  void is_sided();
  void says_user() { current_.says_user = true; }
  void is_sorted() { current_.sorted = true; }
  void is_returning() { current_.returning = true; }
  void writes_unseen();                                   // tables that the text does not name
  void reads_unseen() { current_.reads_listed = false; }  // likewise
  void writes() { current_.writes = true; }
  void at_least(SqlClass floor);
  void pins(Pin pin) { current_.pins.add(pin); }
  void leans() { current_.leans = true; }
  void redefines(Redefines what) { current_.redefines = std::max(current_.redefines, what); }
  void hides_code();                                         // runs code that nobody can see
  void commits_unseen() { current_.commits_unseen = true; }  // ... and that may end transactions
  bool says(std::string_view lower) const;                   // in the text, in whatever case
  void is_unread();                                          // not understood
  void adds(const SqlFacts& facts) { add_effects(current_, facts); }
  void step(decltype(Step::what) what);
  std::string_view text() const { return text_; }
  const SqlCatalog& catalog() const { return catalog_; }

 private:
  struct Target {
    SqlName table;
    enum class Verb : std::uint8_t { Insert, Change } verb;
    std::vector<std::string_view> columns;
  };
  struct Source {
    SqlName table;
    Rows rows;
  };
  void apply(FunctionNature nature, const SqlCall& call);
  void runs_user_code();
  void settle_reads();
  void note_definition();
  void settle_target(const Target& target);
  void draws_defaults(const Target& target, const RelationEntry& entry);
  bool asks_any(const Target& target, const std::vector<std::string>& columns) const;
  void lists(std::vector<TableName>& tables, const SqlName& table, bool& all);
  bool is_query(const SqlName& name) const;
  void set_config(const SqlCall& call);

  const SqlCatalog& catalog_;
  SqlFacts total_;
  SqlFacts current_;
  Redefined redefined_;  // by the statements before this one
  std::string_view text_;
  std::vector<Source> reads_;
  std::vector<std::string_view> queries_;
  std::vector<Target> targets_;
  enum class Finds : std::uint8_t { TheSame, OneOfMany } finds_ = Finds::TheSame;
  enum class Defaults : std::uint8_t { Unsaid, Asked } defaults_ = Defaults::Unsaid;
};

}  // namespace crossfade::postgres
