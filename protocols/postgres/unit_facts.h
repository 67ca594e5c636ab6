// What one unit does, as far as choosing a side for it matters: the facts of all its messages.
//
// Messages say what they run in their text (Query, Parse) or by the name of a statement (Bind);
// that name may be given a new meaning within the unit, or by messages that are not answered yet.
// Then each of the meanings counts. What an Execute runs was bound in the same unit, and is counted
// there, or in an earlier one of the transaction.
//
// Knows nothing of sides or of sockets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/postgres/frontend.h"
#include "protocols/postgres/inventory.h"
#include "protocols/postgres/redefined.h"
#include "protocols/postgres/result_digest.h"
#include "protocols/postgres/session_state.h"
#include "protocols/postgres/sql_classify.h"
#include "protocols/postgres/sql_facts.h"

namespace crossfade::postgres {

// Where a transaction stands once the unit has run, if nothing in it fails.
enum class Leaves : std::uint8_t {
  AsItWas,
  Open,    // a transaction block
  Closed,  // none
  Unsure
};

// Whom two servers that are to stay alike take the session's user for.
enum class Users : std::uint8_t { Same, Differ };

struct UnitFacts {
  Users users = Users::Same;
  SqlClass strongest = SqlClass::PureRead;
  bool only_reads = true;
  bool writes = false;
  bool deterministic = true;
  bool drawn_by_definitions = true;
  bool sided = false;
  // It says a type that users have made by its OID, which is one server's own.
  bool says_types = false;
  bool sorted = false;
  // What the session holds on its server may be another thing afterwards.
  bool changes_session = false;
  // ... as its text says, and not only as code may do that nobody sees.
  bool says_session = false;
  // What a transaction block is run in may be another thing afterwards: settings, also those of the
  // block alone, statements, cursors, constraints.
  bool changes_block = false;
  Leaves leaves = Leaves::AsItWas;
  // It opens a transaction block that can write nothing, and does nothing else but read in it.
  bool opens_read_only = false;
  // It writes nothing, but not even a read-only transaction keeps it from having an effect.
  bool works_read_only = false;
  bool says_begin = false;  // it says BEGIN, or its like
  // As strictly as two servers' answers may be compared.
  How how = How::Exact;
  std::uint32_t parts = 0;       // texts and statements in it
  bool copies = false;           // COPY
  bool commits_unseen = false;   // code in it may end transactions and begin others
  bool controls = false;         // transactions: BEGIN … PREPARE TRANSACTION
  bool commits = false;          // it says COMMIT of a block
  bool commits_another = false;  // likewise of a transaction that was prepared, who knows by whom
  bool minds_blocks = false;     // a server answers it differently outside of a transaction block
  bool written_listed = true;    // its texts name every table that it can change
  bool read_listed = true;       // likewise that it looks at

  void add(const SqlFacts& facts);
  // They do alike: what it writes does not hang on what each has drawn, or takes the user for.
  bool is_alike(const SqlFacts& facts) const {
    return facts.deterministic && !(facts.says_user && users == Users::Differ);
  }
  // Of two servers that are to stay alike only one may run it: the other would end otherwise.
  bool is_for_one() const { return copies || (writes && !deterministic && !drawn_by_definitions); }

 private:
  void add_effects_of(const SqlFacts& facts);
};

// Types that users have made have another OID on another server: what is prepared with such
// parameters is about the one that is asked.
bool is_user_type(std::uint32_t type);
SessionState::Facts facts_with_types(SessionState::Facts facts, bool of_users);

// Statements that SQL has prepared whose facts are kept, and bytes of their texts; EXECUTE of
// others is Unknown.
inline constexpr std::size_t kPreparedMax = 1024;
inline constexpr std::size_t kPreparedBytesMax = 1u << 20;
// Portals of a transaction whose facts are kept, and the length of their names; an Execute of
// others is Unknown.
inline constexpr std::size_t kPortalsMax = 1024;
inline constexpr std::size_t kPortalNameMax = 256;

// What a unit runs, text by text: of its messages, and of statements that they name.
struct SaidText {
  const SqlFacts* facts;
  std::string_view text;        // empty: it is not kept
  std::string_view types = {};  // of parameters, as its Parse declares them: 4 bytes each
};
// Views of the unit, of what the session keeps, and of UnitReader::texts().
using SaidTexts = std::vector<SaidText>;
// What gives values to parameters of a text.
struct SaidBind {
  std::size_t text;       // its index
  std::string_view body;  // of the message, whole
};
struct Said {
  SaidTexts texts;
  std::vector<SaidBind> binds;
  std::vector<std::size_t> parsed;  // indexes of the texts of the unit's own Parses; kNoText

  static constexpr std::size_t kNoText = SIZE_MAX;
  void clear() {
    texts.clear();
    binds.clear();
    parsed.clear();
  }
};

// Of a unit's messages, told in their order.
class UnitReader {
 public:
  using Facts = SessionState::Facts;

  explicit UnitReader(SessionState& state) : state_(state) {}

  // A new unit; the classifier is used until the next one begins. What is kept of statements is
  // judged again when it is not the classifier, or not the catalog, that they were judged by.
  //   elsewhere   what others have redefined since that catalog was read; null: nothing
  //   said        is told what texts() are facts of, one by one, and what Binds pass; null: nobody
  //               asks
  //   cost        nothing else while these stay; then facts_of() each kept text
  void begin(SqlClassifier& classifier, SqlReading reading, Users users = Users::Same,
             std::shared_ptr<const Redefined> elsewhere = nullptr, Said* said = nullptr);
  // The first piece of each.
  //   cost   of a Query or Parse: SqlClassifier::facts_of(); of others O(log statements)
  void on_message(const Piece& first);
  // The transaction in which portals were bound is over.
  void forget_portals() { portals_.clear(); }
  // Statements may be there, or be others, that nobody has seen PREPARE make: until it is told what
  // there is, an EXECUTE may run anything, too. Code that is not seen does that by itself.
  void doubt_prepared() { prepared_ = Prepared::Unsure; }
  // These are all that SQL has prepared on the session's server, as inventory.h tells them, and
  // nothing was asked there since.
  void told_prepared(SqlClassifier& classifier, const std::vector<PreparedText>& by_sql);
  // What units have redefined since this was last taken, whether or not they were run.
  Redefined redefined() const { return redefined_ ? *redefined_ : Redefined(); }
  Redefined take_redefined() {
    return redefined_ ? *std::exchange(redefined_, nullptr) : Redefined();
  }
  const UnitFacts& facts() const { return facts_; }
  // Of everything in it that was understood.
  const std::vector<Facts>& texts() const { return texts_; }
  // Facts of the Parse with that index among those of the unit; null: not read.
  Facts facts_of_parse(std::size_t index) const {
    return index < parsed_.size() ? parsed_[index].facts : nullptr;
  }
  // It may give a value to a setting that nobody can ask for: its name is not known, or setseed().
  bool sets_untold() const { return sets_untold_; }
  // Names of settings with a dot in them that it sets.
  const std::vector<std::string>& custom_settings() const { return custom_; }
  // It names a statement by Bind or Describe that is not kept.
  bool names_unseen() const { return names_unseen_; }
  // Names of statements that its SQL runs or drops.
  const std::vector<std::string>& named_by_sql() const { return named_; }

 private:
  // A Parse of this unit.
  struct Parsed {
    std::string_view name;  // a view of the unit
    Facts facts;            // null: not read
    Facts any;              // what its name may mean: any of those so far that have it
  };
  void on_parse(const Piece& first);
  void note_parse(std::string_view name, Facts facts);
  void note_said_parse(const Parse& parse);
  void note_said_bind(std::string_view statement, std::size_t texts_before, const Piece& bind);
  const Parsed* parsed_as(std::string_view name) const;
  bool is_bound(std::string_view portal) const;
  void index_names();
  void on_bind(const Piece& first);
  void on_execute(const Piece& first);
  void note_portal(std::string_view name, const Facts& facts);
  void keep_portal(std::string_view name, const Facts& facts);
  void note_cursors(const SqlFacts& facts);
  void note_moments(const Piece& bind);
  Facts on_text(std::string_view text);
  Facts on_telling_text(std::string_view text, const Facts& found);
  Facts executed_by_sql(const Facts& facts) const;
  // What EXECUTE may run by a name: all that was prepared by it, as DEALLOCATE may have failed.
  struct Meanings {
    std::vector<std::string> texts;  // each once; empty: there was no room for all of them
    Facts facts;
  };
  void judge_again();
  Facts judge_text(std::string_view text);
  Facts judge_prepare(std::string_view text, std::string_view name);
  void note_prepared(const SqlFacts& facts);
  void add_prepared(const SessionStep& prepare);
  void note_hidden(const SqlFacts& facts);
  void note_redefined(const SqlFacts& facts, std::string_view text);
  Facts by_now(const Facts& facts) const;
  Facts on_statement(std::string_view name);
  void run(Facts facts, std::string_view text);
  void on_unknown();
  void note_settings(const SqlFacts& facts);
  void note_code(const SqlFacts& facts, std::string_view text);

  SessionState& state_;
  SqlClassifier* classifier_ = nullptr;
  SqlReading reading_ = SqlReading::Standard;
  UnitFacts facts_;
  std::vector<Facts> texts_;
  Said* said_ = nullptr;
  std::vector<Parsed> parsed_;
  std::vector<std::string_view> bound_;  // portals of this unit, each once, as views of it
  // Of both; null: they are few, and looked through.
  struct Index {
    std::map<std::string_view, std::size_t> parsed;  // the last of each name
    std::set<std::string_view> bound;
  };
  std::unique_ptr<Index> index_;
  // What the portals of earlier units of the transaction run, too.
  std::map<std::string, Facts, std::less<>> portals_;
  std::vector<std::string> custom_;
  std::vector<std::string> named_;
  bool names_unseen_ = false;
  bool sets_untold_ = false;
  enum class Prepared : std::uint8_t { Seen, Unsure } prepared_ = Prepared::Seen;
  std::map<std::string, Meanings, std::less<>> by_sql_;
  std::size_t by_sql_bytes_ = 0;  // of texts
  std::shared_ptr<const Redefined> elsewhere_;
  std::unique_ptr<Redefined> redefined_;  // here; null: nothing
  std::uint64_t judged_by_ = 0;           // version of the classifier that all kept facts are of
};

}  // namespace crossfade::postgres
