// What a client's session holds on the server, as seen from the messages: what has to be given to
// another server before the session can go on there.
//
// Effects count when the server has answered, in its order: a Parse that failed, or that an error
// before it discarded, leaves nothing. What SQL does (PREPARE, DEALLOCATE of one, SET, cursors) is
// told by whoever reads SQL.
//
// Keeps at most `bytes_max` of names and messages; beyond that it says that it is not complete.
// Where COPY stands is told by OwedReplies::copying().
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "protocols/postgres/message.h"
#include "protocols/postgres/ring.h"
#include "protocols/postgres/sql_facts.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {

inline constexpr std::size_t kStatementsMaxDefault = 4u << 20;  // bytes per session

// Messages of the extended protocol since the last Sync, Query, or FunctionCall, or none.
enum class Segment : std::uint8_t { Closed, Open };
// Whether the statements kept are all that there are.
enum class Kept : std::uint8_t { All, NotAll };

class SessionState {
 public:
  using Facts = std::shared_ptr<const SqlFacts>;
  struct Statement {
    std::string message;       // that makes it: a Parse, or a Query that says PREPARE
    std::uint64_t serial = 0;  // of its making: another one by the same name has another serial
    Facts facts = {};          // null: nobody has read its text
  };
  using Statements = std::map<std::string, Statement, std::less<>>;

  explicit SessionState(std::size_t bytes_max = kStatementsMaxDefault) : bytes_max_(bytes_max) {}

  // The first piece of a client's message was sent to the server that answers it, or is answered in
  // its stead; `id` as OwedReplies returned it. A Parse that is not whole cannot be kept.
  //   facts   of a Parse's text
  //   cost    a copy of each Parse
  void sent(std::uint64_t id, const Piece& first, Facts facts = {});
  // Likewise of a Describe or an Execute, which leave nothing.
  void sent_more() { segment_ = Segment::Open; }
  // The first piece of a reply to the message `id`, of one made by us, too.
  void answered(std::uint64_t id, char type, std::string_view body) {
    const bool drops = type == from_server::kCommandComplete && body.starts_with('D');
    const bool ends = type == from_server::kReadyForQuery || drops;
    const bool settles = !pending_.empty() && pending_.front().id <= id;
    if (ends || settles || lost_id_ != 0 || unnamed_lost_id_ != 0) settle(id, type, body);
  }

  // What was sent will not be answered any more, and has had no effect; or it is sent to another
  // server now.
  void forget_pending();

  // SQL has prepared a statement (`message`: whole, prepares it again) or has dropped one.
  void prepared(std::string_view name, Statement statement);
  void dropped(std::string_view name);
  void dropped_all();

  // Named statements and the messages that make them.
  const Statements& statements() const { return statements_; }
  // The unnamed statement; nothing when there is none, or it was too long.
  const std::optional<Statement>& unnamed() const { return unnamed_; }
  // The statement of that name; null: there is none, or it is not kept.
  const Statement* find(std::string_view name) const;
  // Calls look(facts, message) for whatever a message that is sent now may mean by that name: the
  // statement, and those that are being made.
  //   cost   O(log statements + messages not answered)
  template <class Look>
  void each_meaning(std::string_view name, Look look) const {
    if (const Statement* const statement = find(name))
      look(statement->facts, std::string_view(statement->message));
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      const Pending& pending = pending_.at(i);
      if (pending.makes_statement() && pending.name == name) {
        look(pending.facts, std::string_view(pending.message));
      }
    }
  }
  // What a Bind that is sent now runs by that name, if nothing before it fails: its message (empty:
  // it is not kept) and facts. Nothing: there is none.
  //   cost   O(log statements + messages not answered)
  struct Meaning {
    std::string_view message;
    const SqlFacts* facts;  // null: not read
  };
  std::optional<Meaning> meaning(std::string_view name) const;
  // Facts of all that each_meaning() may tell of become judge(message, facts): its Parse, empty
  // where that is not kept, and what it was taken for until now.
  template <class Judge>
  void judge_again(Judge judge) {
    const auto again = [&](auto& one) { one.facts = judge(one.message, one.facts); };
    for (auto& [name, statement] : statements_) again(statement);
    if (unnamed_) again(*unnamed_);
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      if (pending_.at(i).makes_statement()) again(pending_.at(i));
    }
  }
  // What the messages that are not answered yet do about the statement of that name. A Query closes
  // the unnamed one.
  enum class Underway : std::uint8_t { Nothing, Made, Closed };
  Underway underway(std::string_view name) const;
  std::uint64_t next_serial() { return ++last_serial_; }
  std::uint64_t last_serial() const { return last_serial_; }
  Kept kept() const { return lost_ || unnamed_lost_ ? Kept::NotAll : Kept::All; }

  // Named portals that a Bind has made; they end with their transaction. The unnamed one is not
  // counted: it cannot be told from none at any point where a session could move.
  bool has_portal(std::string_view name) const { return portals_.contains(name); }
  std::size_t portals() const { return portals_.size(); }
  // Segments that were sent whole, and whether another one has begun.
  std::uint64_t segments() const { return segments_; }
  Segment segment() const { return segment_; }
  Transaction transaction() const { return transaction_; }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Pending {  // what will have happened once it is answered
    std::uint64_t id = 0;
    char type = 0;
    char subject = 0;     // of Close
    std::string name;     // of a statement, or a portal
    std::string message;  // of a Parse; empty: too long to be kept
    std::uint64_t serial = 0;
    Facts facts = {};

    void forget() {  // what has memory of its own, which may be much
      std::string().swap(name);
      std::string().swap(message);
      facts = nullptr;
    }
    bool makes_statement() const { return type == from_client::kParse; }
    Underway effect() const {  // on the statement of that name
      const bool closes = type == from_client::kClose && subject == kStatement;
      if (makes_statement()) return Underway::Made;
      return closes || type == from_client::kQuery ? Underway::Closed : Underway::Nothing;
    }
  };
  // Names of different lengths are looked up without a copy.
  struct Hash : std::hash<std::string_view> {
    using is_transparent = void;
  };

  void sent_parse(std::uint64_t id, const Piece& first, Facts facts);
  void keep(Pending pending);
  void pop();
  void discard();
  void settle(std::uint64_t id, char type, std::string_view body);
  void settle_lost(std::uint64_t id);
  void apply(Pending& pending);
  void apply_failed(const Pending& pending);
  void define(Pending& pending);
  void define_unnamed(Pending& pending);
  void drop_unnamed();
  void complete(std::string_view tag);
  void ready(Transaction status);
  static std::size_t cost(const Pending& pending);

  std::size_t bytes_max_;
  std::size_t bytes_ = 0;  // of what is kept here and pending
  Ring<Pending> pending_;
  // What the last of these that is about the unnamed statement does: pipelines are full of them.
  std::uint64_t unnamed_id_ = 0;
  Underway unnamed_underway_ = Underway::Nothing;
  Statements statements_;
  std::optional<Statement> unnamed_;
  std::unordered_set<std::string, Hash, std::equal_to<>> portals_;
  std::uint64_t last_serial_ = 0;
  std::uint64_t segments_ = 0;
  Segment segment_ = Segment::Closed;
  Transaction transaction_ = Transaction::Idle;
  // The last messages for which there was no room while they were pending: what they were about is
  // lost once they are answered.
  std::uint64_t lost_id_ = 0;
  std::uint64_t unnamed_lost_id_ = 0;
  bool unnamed_lost_ = false;  // there is an unnamed statement that was too long
  bool lost_ = false;          // there may be named ones that are not kept
};

}  // namespace crossfade::postgres
