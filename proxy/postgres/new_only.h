// Which of a session's transactions are on new alone, as far as its units and new's answers tell:
// what going back to old would lose. See docs/operating.md, "Going back".
//
// A transaction counts once, when new has answered that it has committed and something in it may
// have written: a statement outside of a block, or whatever a block held. So does one that is
// prepared, whose end is not counted again. What new has not answered may be there or not, and a
// CALL or a DO whose code may have committed in between is more than one, or none.
//
// Holds data only: no sockets, no sides. Is told of units that new alone runs, and of every answer
// to them but rows.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocols/postgres/ring.h"
#include "protocols/postgres/types.h"

namespace crossfade::postgres {

// What that command has run may have ended transactions, outside of a block.
bool calls_code(std::string_view command);

class NewOnly {
 public:
  // What is to be counted.
  enum class Counts : std::uint8_t {
    Nothing,
    One,
    Unsure  // one, which may not be there, or be several
  };
  struct Unit {
    std::uint64_t id = 0;  // of its last message, as new owes it
    bool writes = false;
    bool ends = false;            // a transaction, by what it says or as it is outside of a block
    bool hidden = false;          // code in it may have committed, whatever it ended with
    bool commits_unseen = false;  // likewise, and gone on

    void add(const Unit& more) {
      writes |= more.writes;
      ends |= more.ends;
      hidden |= more.hidden;
      commits_unseen |= more.commits_unseen;
    }
  };

  // More of the unit that is being sent, which may come in parts; the id is not looked at.
  void asks(const Unit& more);
  // All of it is sent.
  void sent(std::uint64_t id);
  // A reply of new's to a message of the client's.
  //   cost  O(1)
  Counts answered(std::uint64_t id, char type, std::string_view body) {
    return idle() ? Counts::Nothing : note(id, type, body);
  }
  void failed() { failed_ = true; }
  // Nobody will hear of what is not answered yet.
  Counts unanswered();
  // Those units are another server's now.
  void forget() { *this = NewOnly(); }
  // The block that is open ends otherwise than by units that this was told of.
  //   returns  whether something in it may have written
  bool end_block();

 private:
  enum class End : std::uint8_t { None, Commit, Rollback };

  bool idle() const { return units_.empty() && !wrote_ && !part_.ends && !part_.writes; }
  const Unit& current() const { return units_.empty() ? part_ : units_.front(); }
  Counts note(std::uint64_t id, char type, std::string_view body);
  Counts completed(std::string_view command);
  Counts ready(std::uint64_t id, Transaction status);
  Counts ended(const Unit& unit) const;
  Unit take_through(std::uint64_t id);

  Ring<Unit> units_;
  Unit part_;
  bool wrote_ = false;  // something in the block that is open may have
  // --- of the unit that is being answered
  bool ran_ = false;     // something has completed since the last end of a transaction
  bool undone_ = false;  // likewise before that, if it was not one TO a savepoint
  bool failed_ = false;
  bool called_ = false;  // code that was called has, since the last end of a transaction
  End end_ = End::None;  // the last that it has said
};

}  // namespace crossfade::postgres
