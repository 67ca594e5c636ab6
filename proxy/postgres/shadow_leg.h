// The copies of one session's transactions: which are under way, what of each server's replies
// belongs to which, and what these mean.
//
// A copied transaction is one that both servers were sent whole, or are being sent. Both answer in
// order, each in its own time; once both have answered all of it, it is finished, and its digests
// can be compared.
//
// Knows nothing of sockets, of SQL, or of whether a transaction should be copied.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/postgres/message.h"
#include "protocols/postgres/repeated_reads.h"
#include "protocols/postgres/result_digest.h"
#include "protocols/postgres/ring.h"
#include "protocols/postgres/session_state.h"
#include "strategies/plan.h"

namespace crossfade::postgres {

inline constexpr std::size_t kRepeatedMax = 16u << 10;  // bytes of reads kept, to be asked again
inline constexpr std::size_t kSaidMax = 1u << 10;       // bytes of statements kept, to be shown
inline constexpr std::size_t kTablesSaidMax = 32;       // and names of tables

struct CopiedTransaction {
  static constexpr std::size_t index(Side side) { return static_cast<std::size_t>(side); }

  struct Unit {
    std::array<std::uint64_t, kSides> first{};  // ids of its messages, as the servers' queues have
    std::array<std::uint64_t, kSides> last{};   // given them; 0: none was sent yet
    How how = How::Exact;
    std::uint64_t sent_ns = 0;
  };

  Ring<Unit> units;
  std::array<std::size_t, kSides> answered{};  // units, from the front on
  std::array<ResultDigest, kSides> digests;
  RepeatedReads reads{kRepeatedMax};
  How how = How::Exact;             // the weakest of all
  std::string said;                 // its statements, cut
  std::vector<std::string> tables;  // that these name
  std::uint64_t old_at_ns = 0;      // when old last answered something of it
  bool open = true;                 // there may be more of it

  // That server has answered all that was sent so far.
  bool answered_by(Side side) const { return answered[index(side)] == units.size(); }
  bool finished() const { return !open && answered_by(Side::Old) && answered_by(Side::New); }
  // A statement of it, to be shown.
  void say(std::string_view text, const SqlFacts& facts);
  void clear();
};

// What an Execute that comes next would run. Bodies of messages; empty: not known.
struct BoundPortal {
  std::string parsed_name;  // of the last Parse, which may not be answered yet
  std::string parsed;
  SessionState::Facts parsed_facts;
  std::string parse;  // of the statement that the last Bind has named
  std::string bind;
  SessionState::Facts facts;
};

class ShadowLeg {
 public:
  // What becomes of the client's messages now, up to the end of their transaction.
  enum class Now : std::uint8_t {
    Nothing,  // no transaction was begun yet
    Copied,
    Left  // not copied: dropped, or none that is to be
  };
  enum class State : std::uint8_t {
    Apart,  // new is not known to hold what the session does
    InStep
  };

  State state = State::Apart;
  Now now = Now::Nothing;
  std::uint64_t apart_since_ns = 0;
  std::uint64_t asked_at_ns = 0;  // when the client last sent something
  // Statements were made that new has not got; they can be brought once old has answered.
  bool gap = false;
  bool reads_only = false;       // what is copied now is so because it writes nothing
  bool used = false;             // the connection to new has had something of the client's
  bool refused = false;          // new did not let the session in; else it was not reached
  bool settings_wanted = false;  // a difference could not be looked at for want of them

  // Versions of what the session holds, as far as the text of its statements tells; 0: as it began.
  static constexpr std::uint64_t kNoVersion = ~std::uint64_t{0};
  std::uint64_t version = 0;         // that it is of
  std::uint64_t there = 0;           // that new has
  std::uint64_t asked = 0;           // that old was last asked for
  std::uint64_t given = kNoVersion;  // that new was last given, whether it took it or not

  BoundPortal portal;

  bool copying() const { return now == Now::Copied; }
  // The session has changed.
  void note_change() {
    ++version;
    if (copying()) there = version;
  }

  // --- what is sent
  // A transaction begins, as far as anybody knows; end() is called before.
  void begin();
  // A unit of it is going to be sent.
  void begin_unit(How how, std::uint64_t now_ns);
  // More of it, that was not known when it began.
  void weaken(How how);
  // A message of it was, to both.
  void sent(std::uint64_t old_id, std::uint64_t new_id);
  // There is no more of the transaction.
  void end();
  // The one that is being sent; null: none is.
  CopiedTransaction* current() { return open_ ? open_ : nullptr; }

  // --- what is answered
  // Replies to what was not copied are told as well, and left out.
  //   returns  when the unit that this ends was sent; 0: it ends none
  std::uint64_t on_piece(Side side, std::uint64_t id, const Piece& piece, std::uint64_t now_ns);
  void on_rows(Side side, std::uint64_t id, char type, std::string_view rows);
  // The oldest, if it is finished; null: it is not.
  CopiedTransaction* finished();
  void pop();

  bool empty() const { return under_way_.empty(); }
  std::size_t size() const { return under_way_.size(); }
  const CopiedTransaction& front() const { return *under_way_.front(); }
  // All of them end unfinished. Returns how many they were.
  std::size_t drop_all();

 private:
  using Owner = std::unique_ptr<CopiedTransaction>;
  CopiedTransaction* answering(Side side, std::uint64_t id);
  CopiedTransaction& at(std::size_t index) { return *under_way_.at(index); }
  void put_back(Owner spent);

  Ring<Owner> under_way_;
  CopiedTransaction* open_ = nullptr;        // the last of these, while it is open
  std::array<std::size_t, kSides> first_{};  // of these, that the server has not answered
  Owner spare_;                              // keeps its memory
};

}  // namespace crossfade::postgres
