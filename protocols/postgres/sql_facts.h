// Facts of SQL: what the text of one query does, computed once, from the text and the catalog.
//
// A query is what one Query or Parse message carries: no, one or several statements. Its class is
// that of its strongest statement; what each statement does to transactions, to the session and by
// COPY is kept in order. Whatever is not certainly a read counts as a write.
//
// Knows nothing of messages, sessions and sides: whoever routes has the state, and asks these
// facts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "protocols/base/kind.h"

namespace crossfade::postgres {

// Weakest first.
enum class SqlClass : std::uint8_t {
  PureRead,      // changes nothing, and two equal servers answer alike
  VolatileRead,  // changes nothing; the answer hangs on clock, chance, order or the server, too
  SessionState,  // SET, PREPARE, LISTEN, DECLARE, FETCH, …
  Transaction,   // BEGIN, COMMIT, SAVEPOINT, …
  Lock,          // rows, tables or advisory locks are taken or given back; no data changes
  Copy,          // COPY; SqlFacts::writes tells which way
  Write,         // equal servers end equal
  NondeterministicWrite,  // they may not: clock, chance, sequences, code that nobody can see
  Ddl,                    // definitions and storage
  Unknown                 // not understood: counts as a write, and says nothing of its tables
};

// The value of the `class` label in metrics and of status.
const char* name_of(SqlClass sql_class);

// What ties the session to its side once the query has run.
enum class Pin : std::uint8_t {
  TempObject,       // CREATE TEMP, SELECT INTO TEMP, a search path that begins with pg_temp
  HoldCursor,       // DECLARE … WITH HOLD
  SessionLock,      // pg_advisory_lock and its like
  Listen,           // LISTEN
  UnreplayableSet,  // set_config(…, false): a change that is no statement of its own
  UntoldSet,        // of a setting whose name the text does not say, or setseed(): none can ask
  HiddenCode,       // DO, CALL, functions that may do any of the above
  Unread            // text that was not understood may do any of the above
};

enum class SqlLock : std::uint8_t {
  Rows,                 // SELECT … FOR UPDATE | NO KEY UPDATE | SHARE | KEY SHARE
  Table,                // LOCK TABLE
  AdvisoryTransaction,  // pg_advisory_xact_lock and its like
  AdvisorySession,      // pg_advisory_lock and its like
  AdvisoryRelease       // pg_advisory_unlock, pg_advisory_unlock_all
};

// What a definition may make others mean, whom an older catalog is asked about.
enum class Redefines : std::uint8_t {
  Nothing,
  Tables,  // those that it names: their defaults, checks, …
  Others   // these, and functions, views, triggers, …
};

// A set of the values of a small enum.
template <class Value>
class SetOf {
 public:
  constexpr void add(Value value) { bits_ |= bit(value); }
  constexpr void add_all(SetOf other) { bits_ |= other.bits_; }
  constexpr bool has(Value value) const { return (bits_ & bit(value)) != 0; }
  constexpr bool empty() const { return bits_ == 0; }
  friend bool operator==(SetOf, SetOf) = default;

 private:
  static constexpr std::uint8_t bit(Value value) {
    return static_cast<std::uint8_t>(1u << static_cast<unsigned>(value));
  }
  std::uint8_t bits_ = 0;
};

// A table as the text names it: unquoted names in lower case; no schema where none is written.
struct TableName {
  std::string schema;
  std::string name;
  friend bool operator==(const TableName&, const TableName&) = default;
};

// BEGIN … PREPARE TRANSACTION, and SET TRANSACTION.
struct TransactionStep {
  enum class What : std::uint8_t {
    Begin,
    Commit,
    Rollback,
    Savepoint,
    RollbackTo,
    Release,
    Prepare,
    CommitPrepared,
    RollbackPrepared,
    SetModes  // SET TRANSACTION, SET transaction_read_only and its like
  } what = What::Begin;
  enum class Access : std::uint8_t { Unsaid, ReadOnly, ReadWrite } access = Access::Unsaid;
  enum class Isolation : std::uint8_t {
    Unsaid,
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable
  } isolation = Isolation::Unsaid;
  enum class Deferral : std::uint8_t {
    Unsaid,
    Deferrable,
    NotDeferrable
  } deferral = Deferral::Unsaid;
  bool chain = false;  // COMMIT | ROLLBACK AND CHAIN: the next transaction begins at once
  std::string name;    // of the savepoint, or the prepared transaction's id
  friend bool operator==(const TransactionStep&, const TransactionStep&) = default;
};

struct SqlFacts;

// What changes or reads the session beside data.
struct SessionStep {
  enum class What : std::uint8_t {
    Set,             // also SET ROLE ("role") and SET SESSION AUTHORIZATION
    Reset,           // one variable; SET … TO DEFAULT
    ResetAll,        //
    SetConstraints,  // SET CONSTRAINTS
    DiscardAll,
    DiscardPlans,
    DiscardSequences,
    DiscardTemp,
    Prepare,
    Execute,
    Deallocate,  // no name: all
    Listen,
    Unlisten,  // no name: all
    Declare,
    DeclareHold,
    Fetch,
    Move,
    Close,  // no name: all
    Load
  } what = What::Set;
  enum class Scope : std::uint8_t { Session, Transaction } scope = Scope::Session;  // SET LOCAL
  std::string name;  // of the variable, statement, channel, cursor or library
  std::string text;  // the statement itself, without comments: to be said again elsewhere
  // Prepare: facts of what EXECUTE will run. Declare: of what the cursor's rows are. Execute: of
  // its parameters. Else nullptr.
  std::shared_ptr<const SqlFacts> inner;
};

struct CopyStep {
  enum class Way : std::uint8_t { From, To } way = Way::To;
  enum class Place : std::uint8_t { Client, File, Program } place = Place::Client;
  TableName table;  // empty: COPY (query) TO
  friend bool operator==(const CopyStep&, const CopyStep&) = default;
};

struct Step {
  std::uint32_t statement = 0;  // counts from 0
  std::variant<TransactionStep, SessionStep, CopyStep> what;
};

// The normal form (sql_normal.h) of one statement, as two hashes of it.
struct FormMark {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  friend bool operator==(const FormMark&, const FormMark&) = default;
};
struct SqlForm {
  FormMark mark;
  bool controls = false;  // BEGIN, COMMIT, ROLLBACK
  friend bool operator==(const SqlForm&, const SqlForm&) = default;
};

struct SqlFacts {
  SqlClass strongest = SqlClass::PureRead;
  bool writes = false;        // data may change, sequences and notifications included
  bool deterministic = true;  // an equal server answers alike and ends equal
  // All that is drawn and written is so by definitions, which two servers both need to stay alike.
  bool drawn_by_definitions = true;
  bool sided = false;         // about the server or session that is asked: OIDs, pids, currval, …
  bool says_user = false;     // hangs on the user's name, which may be another on another server
  bool sorted = false;        // one statement, whose rows come in a stated order
  bool returning = false;     // a write that answers with the rows it wrote
  bool reads_beside = false;  // a write, made from rows too that it does not lock
  bool user_code = false;     // calls functions of users that are not immutable
  bool commits_unseen = false;  // its code may end transactions and begin others: CALL, DO
  bool writes_listed = true;    // `written` names every table that can change
  bool reads_listed = true;     // `read` names every table that is looked at, by the name it has
  // It names what users define, beside plain tables: functions, operators, types, views, …
  bool leans = false;
  Redefines redefines = Redefines::Nothing;
  bool beside_definitions = false;  // not all of it defines, or controls transactions
  // Of the tables in `written` those that definitions name, and those that all else does: bits of
  // their indexes.
  std::uint32_t defined = 0;
  std::uint32_t changed = 0;
  std::uint32_t statements = 0;  // 1: a single statement; 0: none (the empty query)
  // The highest $n: what its statement takes when a Parse declares no more; nullopt: not known.
  std::optional<std::uint32_t> parameters = 0;
  SetOf<Pin> pins;
  SetOf<SqlLock> locks;
  std::vector<Step> steps;         // in order; at most kStepsMax
  std::vector<TableName> read;     // each once; at most kTablesMax
  std::vector<TableName> written;  // each once; at most kTablesMax
  // Of each statement of the text; none: nobody has asked for them, or not each has one, or these
  // are the facts of more than a text.
  std::vector<SqlForm> forms;

  // Certainly changes no data, no session, and takes no lock: may run on either side.
  bool only_reads() const { return strongest <= SqlClass::VolatileRead && !writes && pins.empty(); }
};

// A query with more steps than this is Unknown. Tables beyond their limit are left out, and
// writes_listed says so.
inline constexpr std::size_t kStepsMax = 256;
inline constexpr std::size_t kTablesMax = 32;
static_assert(kTablesMax <= 32);  // bits of SqlFacts::defined

// The kind that counters and strategies know.
Kind kind_of(const SqlFacts& facts);

// What text that was not understood is taken for.
SqlFacts unknown_sql();

// Adds what another part of the query does; steps, counts and parameters stay as they are.
void add_effects(SqlFacts& facts, const SqlFacts& other);

// Moves PureRead and Write to their weaker-willed kin where the facts are not deterministic.
void settle_class(SqlFacts& facts);

// Facts of an EXECUTE whose statement was prepared with the facts `prepared`; without this it is
// Unknown. For a query of that one statement; any other comes back as it was.
SqlFacts executed(const SqlFacts& execute, const SqlFacts& prepared);

}  // namespace crossfade::postgres
