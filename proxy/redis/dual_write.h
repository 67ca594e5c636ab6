// One dual write under way: its turn in the order of writes, what its second leg is made from, and
// what is known of either leg.
//
// It belongs to an exchange, lives in a pool of the loop, and keeps its capacity: a steady load of
// writes allocates nothing. Pure but for the turn: it makes bytes, and knows no socket.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocols/redis/replay.h"
#include "proxy/write_order.h"
#include "strategies/ledger.h"

namespace crossfade {
class Loop;
}

namespace crossfade::redis {

class RedisSession;
struct Exchange;

// Around a transaction of ours, and one that is repeated.
inline constexpr std::string_view kMulti = "*1\r\n$5\r\nMULTI\r\n";
inline constexpr std::string_view kExec = "*1\r\n$4\r\nEXEC\r\n";

// The key that MOVE and COPY … DB write in a database which they name.
struct KeyElsewhere {
  std::string_view key;
  std::string_view db;
};
bool writes_elsewhere(const CommandSpec& spec);  // if it names one
std::optional<KeyElsewhere> key_elsewhere(const CommandSpec& spec,
                                          std::span<const std::string_view> args);

// What the second leg is still to become, kept per queued command.
struct QueuedWrite {
  std::size_t at;  // in DualWrite::request
  std::size_t size;
  const CommandSpec* spec;
  Replay how;
  std::uint32_t questions = 0;  // asked for it
};

struct DualWrite {
  enum class Way : std::uint8_t {
    Command,      // one command
    Transaction,  // MULTI … EXEC: the second side gets it when the first has run it
    Attempt,      // a blocking command inside a transaction of our own, which does not block
    Blocked       // it does block now, without a turn; afterwards its keys are copied
  };
  enum class Leg : std::uint8_t { UnderWay, Ok, Failed, Unknown, Unsent };

  DualWrite();

  // Who is told when the turn is granted; null: nobody waits any more.
  Loop* loop = nullptr;
  RedisSession* session = nullptr;
  Exchange* exchange = nullptr;  // from dispatch on
  WriteOrder* order = nullptr;
  WriteOrder::Turn turn;
  std::uint64_t wanted_at_ns = 0;
  std::uint64_t wanted_at_ms = 0;  // Unix time
  bool granted = false;
  bool news = false;     // the news of a grant is on its way to the loop: it must find us
  bool gave_up = false;  // waited too long: goes ahead out of order
  bool sole = false;     // its keys are unknown
  bool spans_databases = false;
  bool after_first = false;  // FLUSHALL and its like: not on one side what the other one refuses
  bool selects = false;  // Transaction: a SELECT is in it, and decides where the rest of it writes
  bool spreads = false;  // what it writes at one key may come from another
  bool partial = false;  // a script: when it fails, it may have written all the same
  // Databases that it makes change places.
  std::optional<std::pair<std::int32_t, std::int32_t>> swaps;
  std::size_t swaps_at = 0;  // index in `queued`
  // Keys that it writes in another database, from one of its own: MOVE, COPY … DB.
  struct Elsewhere {
    std::size_t at;  // index in `queued`
    std::int32_t from_db;
    std::int32_t to_db;
  };
  std::vector<Elsewhere> elsewhere;
  std::int32_t asked_db = kDefaultDb;  // where its questions are answered
  bool blocked = false;                // stands in the order as a blocked command
  Way way = Way::Command;
  Replay how = Replay::Same;

  // Keeps the specs that `queued` points to; in the pool, too, as the next write has the same.
  std::shared_ptr<const CommandTable> commands;
  std::string request;              // bytes that the second leg is made from; Same needs none
  std::vector<QueuedWrite> queued;  // Command: one; Transaction: all
  std::string keys;                 // packed; each as often as the request names it
  std::string reply;                // the first side's, where the second leg is made from it
  std::string answers;              // to the questions
  std::string outcome;              // Transaction: the second side's reply to EXEC
  std::uint32_t questions = 0;      // asked
  bool asking = false;              // not all answered
  bool too_big = false;             // reply or answers were more than is kept
  bool resolved = false;            // the second leg has all its bytes
  bool skipped = false;             // and they do nothing, as the first side did nothing
  std::uint32_t gate = 0;           // what holds the second side up until then; 0: nothing
  std::uint32_t step = 0;           // Attempt: replies seen
  bool refused = false;             // Attempt: the command was refused, and not run
  Leg second = Leg::UnderWay;
  bool first_unknown = false;
  bool own_seen = false;     // the second side has answered the write's own bytes
  bool first_null = false;   // it answered null: a transaction that was not run, a pop of nothing
  bool cannot = false;       // the second leg could not be made
  bool comparable = true;    // Transaction: equal servers give equal replies to all of it
  bool leaves_out = false;   // Transaction: repeated as it is, but for what the first side refused
  std::uint32_t behind = 0;  // commands of the second leg that follow the write's own
  bool second_begun = false;
  std::uint64_t resolved_at_ns = 0;
  bool waits_for_disk = false;

  struct KeyHead {
    std::int32_t db;
    std::uint32_t size;
  };
  // A key that it writes, and the turn wants.
  void add_key(std::int32_t db, std::string_view key);
  // Calls visit(db, key) for each, in order.
  template <class Visit>
  void for_each_key(Visit&& visit) const {
    for (std::size_t at = 0; at < keys.size();) {
      KeyHead head;
      keys.copy(reinterpret_cast<char*>(&head), sizeof head, at);
      visit(head.db, std::string_view(keys).substr(at + sizeof head, head.size));
      at += sizeof head + head.size;
    }
  }
  // Null means that nothing was done, but for single commands: SET … GET sets, and answers null.
  bool did_nothing() const { return first_null && way != Way::Command; }
  // Adds to `reply` or `answers`, as far as is kept.
  void keep(std::string& where, std::string_view bytes, std::size_t most) {
    if (reply.size() + answers.size() + bytes.size() > most) {
      too_big = true;
    } else {
      where.append(bytes);
    }
  }
  // Transaction, run by the second side: whether one of its commands failed there. Those that
  // failed on the first side were left out, but for scripts, which write before they fail.
  bool failed_within() const;
  // Transaction that leaves out what failed on the first side: whether the rest was answered
  // otherwise there.
  bool told_otherwise() const;
  // Whether bytes of the first side's reply are needed for the second leg.
  bool makes_from_reply() const {
    return how == Replay::Made || way == Way::Transaction || way == Way::Attempt ||
           !elsewhere.empty();
  }
  // Whether the second leg can begin before the first is over.
  bool starts_at_once() const {
    return way == Way::Command && !after_first &&
           (how == Replay::Same || how == Replay::Suspect || how == Replay::Expiry);
  }
  // Whether the second leg can begin only when the first is over, and what it did is known.
  bool is_late() const { return way == Way::Attempt || way == Way::Blocked; }
  // Whether something follows the same bytes: the keys' expiry, or, where their effect may differ,
  // the keys themselves as the first side has them.
  bool has_rest() const { return how == Replay::Expiry || copies_behind(); }
  bool copies_behind() const { return how == Replay::Suspect && !sole && !spans_databases; }

  // Appends what is to be asked of the first side behind the write; returns how many questions.
  std::uint32_t append_questions(std::string& out);
  struct SecondLeg {
    std::uint32_t count = 0;   // of commands
    std::uint32_t behind = 0;  // of these follow the write's own
    bool is_same = true;       // what the first side has run, command by command
    bool leaves_out = false;   // likewise, but for what failed there
  };
  // Appends the second leg (of Expiry: the rest of it), made from reply and answers. nullopt: it
  // cannot be told.
  std::optional<SecondLeg> append_second_leg(std::string& out) const;

  // When its keys expire, as far as the answers tell. `key` points into this object.
  struct KeyExpiry {
    std::int32_t db;
    std::string_view key;
    std::uint64_t at_ms;  // Unix time
  };
  std::vector<KeyExpiry> expiries() const;
  // Keys that have got the expiry of another one, as the first side's reply tells.
  struct Carried {
    std::int32_t from_db;
    std::string from;
    std::int32_t to_db;
    std::string to;
  };
  std::vector<Carried> carried() const;
  // Whether SWAPDB was run, given that not all of it has failed.
  bool has_swapped() const;

  // Of a big request nothing is kept: its questions are asked for another command with its key.
  void stand_in();

  void clear();

 private:
  std::vector<std::string_view> each_key() const;
  std::string_view reply_to(std::size_t queued_at) const;
  std::optional<SecondLeg> append_commands(std::span<const std::string_view> told, std::string& out,
                                           std::string& behind) const;
};

class DualWritePool {
 public:
  DualWrite* get();
  void put(DualWrite* dual);

 private:
  std::vector<std::unique_ptr<DualWrite>> all_;
  std::vector<DualWrite*> free_;
};

}  // namespace crossfade::redis
