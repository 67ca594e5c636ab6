// One transaction that is run on both sides: what has become of it on each, unit by unit.
//
// The first side is the authority: its answers are the client's. A unit is run there, and then,
// once that has answered it without an error, on the second side, if that still takes part. Only
// then is the next one taken. So conflicting transactions come in the same order on both: whoever
// has not got its locks on the second side has not committed on the first.
//
//   Resting        no unit is under way
//   First          one is being run on the first side
//   Second         likewise on the second side
//   FirstCommit    the first side commits what was wrapped
//   SecondCommit   likewise the second side
//   FirstRollback  the first side rolls back what was wrapped
//   Disk           what may differ is being written to the ledger
//
// Holds data only: no sockets, no clock. See session_dual.cc for what is done with it.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/owed.h"
#include "protocols/postgres/result_digest.h"
#include "protocols/postgres/unit_facts.h"
#include "protocols/postgres/written_rows.h"
#include "proxy/postgres/lone_writes.h"
#include "strategies/ledger.h"
#include "strategies/table.h"
#include "strategies/telemetry.h"

namespace crossfade::postgres {

// A table as the ledger names it: "schema.name", or "name" where the text names no schema.
std::string key_of(const TableName& table);
// The same without its schema: a view of `key`.
std::string_view bare_name(std::string_view key);
// A command tag that says that a transaction block has ended, and not in vain.
bool ends_block(std::string_view command);

class DualTransaction {
 public:
  enum class Stage : std::uint8_t {
    Resting,
    First,
    Second,
    FirstCommit,
    SecondCommit,
    FirstRollback,
    Disk
  };
  // What a unit is run in.
  enum class Frame : std::uint8_t {
    Block,    // a transaction block, which it may have begun or ended itself
    Wrapped,  // a block that is ours
    Bare      // nothing: each statement commits by itself
  };
  // Why the second side takes part no more, and so what its tables are suspected of.
  struct Out {
    Drop why;
    Doubt doubt;
  };
  // How a message of ours among the client's is to be answered.
  struct Message {
    ClientMessage head;
    Mark mark;
    std::size_t size;  // bytes of it
  };
  static constexpr std::size_t kTablesMax = 1'000;  // told apart; of more, any may differ

  DualTransaction(InterlayRoutePtr by_route, Side authority, std::uint64_t now_ns)
      : route(std::move(by_route)), first(authority), since_ns(now_ns) {}

  Side second() const { return other(first); }
  bool under_way() const { return stage != Stage::Resting; }
  // The first side may be waiting for the rest of the unit.
  bool may_get_more() const { return stage == Stage::First && (!closed || copies); }
  bool sits_out() const { return out.has_value(); }
  // The first reason stays.
  void leave_out(Drop why, Doubt doubt) {
    if (!out) out = Out{why, doubt};
  }

  // --- one unit
  void begin_unit(Frame unit_frame, std::uint64_t now_ns);
  // More of what it does; one part of it that the second side is not to run is enough.
  void add(const UnitReader& reader);
  // What it writes is made from what it has itself made suspected.
  bool reads_doubtful() const;
  // What it has written before it was run on both sides; null: nothing.
  void begins_behind(const LoneWrites* lone);
  // Something in the whole transaction is suspected already.
  bool has_doubts() const;
  // What it writes is suspected, whoever runs it.
  void spread();
  // What it writes from rows that it does not lock is suspected: others may have changed them
  // between the two sides' turns.
  void doubt_order();
  // Likewise all that the unit itself writes: the first side has committed it, and holds no locks
  // any more while the second side takes its own.
  void doubt_unit_order();
  // The second side gets a message (a piece of one) once the first has run the unit.
  void keep(const ClientMessage& head, Mark mark, std::string_view bytes);
  void keep_more(std::string_view bytes);
  // It is not run on the second side after all.
  void forget_script();
  // Bytes that are kept of it.
  std::size_t kept() const { return script.size(); }

  // --- the whole
  // The first side has committed something of it, in the unit that has just ended.
  bool committed() const;
  // Something that says COMMIT has rolled back, as its transaction had failed.
  bool commit_was_none() const;
  // ... perhaps as several transactions, which nobody can count.
  bool committed_unseen() const;
  // Suspected now that the first side has committed. Nothing: none is.
  //   all   any table may differ
  struct Doubts {
    bool all = false;
    std::vector<Suspect> tables;
    std::vector<Suspect> rows = {};  // of these tables, as far as anybody knows which they are
    bool any() const { return all || !tables.empty(); }
  };
  Doubts doubts(Doubt of_what_is_known) const;
  // Of what only `first` was given.
  static Doubts doubts_of(const LoneWrites& lone, Side first);
  // Of a unit alone, which only `first` is going to run.
  static Doubts doubts_of(const UnitReader& unit, Side first);
  Doubts doubts() const;
  // Adds rows of the tables that are in doubt: none where any may differ.
  //   cost  as WrittenRows::names()
  void name_rows(Doubts& doubts, WrittenRows::Which which, const SqlCatalog& catalog) const;
  // Rows that are in doubt when doubts() are.
  WrittenRows::Which rows_in_doubt() const {
    return out || differs ? WrittenRows::Which::All : WrittenRows::Which::Doubted;
  }
  // Something that the first side has committed is not on the second, or may not be.
  bool on_first_only() const { return (out ? doubts(out->doubt) : chances()).any(); }
  void forget_tables();

  const InterlayRoutePtr route;
  const Side first;
  Stage stage = Stage::Resting;
  std::optional<Out> out;
  bool unseen = false;           // who knows what it has written before
  bool asked = false;            // whether the second side is to be tried
  bool second_begun = false;     // it has a block open, or was told to open one
  bool second_ran = false;       // a unit of it
  bool savepoints = false;       // it may go on when it has failed
  bool hopeless = false;         // it has failed, cannot go on, and is rolled back there
  bool session_touched = false;  // what the session holds there is not known any more
  bool differs = false;          // the two have answered differently
  bool refused = false;          // the second side has failed what the first had done
  bool defines = false;          // definitions that the first side has committed

  // --- a block that is ours
  std::uint64_t ours_id = 0;  // on the first side, of BEGIN or the last ROLLBACK
  // The first side's error to BEGIN, which is told in place of its next one.
  std::string why_unwrapped;
  unsigned rollbacks = 0;     // asked of the first side
  bool commit_told = false;   // the first side has said that it has committed
  bool second_alone = false;  // the second may have, whatever becomes of the first

  // --- the unit
  Frame frame = Frame::Block;
  bool for_second = false;
  bool controls = false;
  std::size_t commits_said = 0;
  bool closed = false;  // the client has sent its end
  bool copies = false;  // a Sync among its data is not answered
  bool changes_session = false;
  bool changes_block = false;   // what the rest of its block is run in
  bool commits_unseen = false;  // code in it may have, and gone on
  bool hidden = false;          // code in it may have committed, whatever the unit ended with
  bool writes = false;          // something in it may, in the block or behind it
  bool renames = false;         // a definition of who knows which table: names may be others' now
  // Names, without their schemas, of what its writes may be made from, and whether these are all.
  std::set<std::string, std::less<>> sources;
  bool sources_listed = true;
  bool is_query = false;  // its last CommandComplete comes when it has committed
  How how = How::Exact;
  std::string script;
  std::vector<Message> messages;  // of the script
  std::string held;               // answers that tell of a commit, and what is behind them
  bool holds_on = false;          // whatever else the first side answers is held, too
  // What it says aside would overtake what is held.
  bool holds() const { return holds_on || !held.empty(); }
  std::array<ResultDigest, 2> digests;            // of the first side, of the second
  Transaction status = Transaction::Idle;         // of the first side behind it
  Transaction second_status = Transaction::Idle;  // likewise
  WrittenRows rows;                               // of the whole
  bool first_failed = false;
  bool second_failed = false;
  bool turn = false;          // the ReadyForQuery that was waited for has come
  std::uint64_t since_ns;     // when it was first to be run
  std::uint64_t leg_ns = 0;   // when the leg that is under way began
  std::uint64_t took_ns = 0;  // by the first side

 private:
  void note_tables(const UnitReader& reader, bool alone);
  void note_returned(const UnitReader& reader);
  struct Tables {
    std::vector<std::string> names;
    bool others = false;  // and some that nobody names
    void clear() {
      names.clear();
      others = false;
    }
  };
  void doubt_order(const Tables& tables);
  Doubts chances() const;
  void note_sources(const UnitReader& reader);

  // Tables written; Chance: by the first side only, or drawn by both; Spread: from what is
  // suspected; Order: from what others may have changed meanwhile.
  std::map<std::string, std::optional<Doubt>, std::less<>> tables_;
  std::vector<std::string> unit_tables_;  // of them, those of the unit
  Tables beside_;                         // of these, those made from rows that it does not lock
  Tables rows_of_;                        // of these, those of which it changes rows
  bool unit_all_ = false;                 // others, too
  bool all_written_ = false;              // likewise, by both sides
  bool all_doubtful_ = false;             // by the first only, or from what is suspected
};

}  // namespace crossfade::postgres
