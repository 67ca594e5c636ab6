// The order of dual writes: writes that share a key pass one after the other, on every loop of the
// process, so that both sides have them in the same order.
//
// A write takes a *turn*: a place behind everybody who wants one of its keys. It is granted when no
// turn of another owner stands before it at any of them, and is left when both legs are over. Turns
// of one owner (a session) pass together: its connections keep their order. A sole turn (FLUSHALL,
// a script whose keys are unknown) waits for all before it and holds up all behind it.
//
// All places of a turn are taken at one moment, in order of arrival. So nobody waits for anybody
// who came later: there is no deadlock and no starvation. Keys are hashed to slots; a collision
// costs a wait and nothing else.
//
// Any thread; one mutex, held for some tens of nanoseconds. Knows nothing of loops, sessions,
// clocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

namespace crossfade {

class WriteOrder {
 public:
  class Turn {
   public:
    // Called once when a turn that had to wait is granted: under the order's lock, on the thread
    // that made room. It may only pass the news on.
    using Granted = void (*)(Turn&);
    explicit Turn(Granted granted) : granted_(granted) {}
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

    // Before take(): whose it is, and what it wants. Both are kept until clear().
    std::uint64_t owner = 0;
    bool sole = false;
    void* context = nullptr;  // for Granted
    void want(std::int32_t db, std::string_view key) { want(hash_of(db, key)); }
    void want(std::uint64_t key_hash);
    static std::uint64_t hash_of(std::int32_t db, std::string_view key);
    void clear();
    bool wants_nothing() const { return places_.empty(); }

    // After take() or the call of Granted.
    bool met_blocked() const {
      return met_blocked_;
    }  // a blocked command stands at one of its keys

   private:
    friend class WriteOrder;
    struct Place {
      Turn* turn;
      std::uint32_t slot;
      bool due = false;  // nobody of another owner before it
      Place* next = nullptr;
      Place* previous = nullptr;
    };
    enum class State : std::uint8_t { Free, InLine, AtKeys, Holds };
    void want_each_once();

    std::vector<Place> places_;
    std::size_t waits_ = 0;  // places that are not due
    Turn* next_ = nullptr;   // in line
    Granted granted_;
    State state_ = State::Free;
    bool met_blocked_ = false;
  };

  WriteOrder();

  // True: granted now. False: Granted will be called, unless it is left before.
  bool take(Turn& turn);
  // Gives a turn back, granted or not.
  void leave(Turn& turn);

  // A hint: the places of this turn are about to be taken or left. Under load they are in no near
  // cache, and waiting for them is most of what a turn costs. Needs no lock.
  void fetch(const Turn& turn) const {
    for (const Turn::Place& place : turn.places_) __builtin_prefetch(&tails_[place.slot], 1);
  }

  // A command that blocks on these keys, and may change them at any moment without a turn: writes
  // that meet it must not trust the other side to do the same. Counted. The turn is not taken, or
  // held: whoever comes when it is left has met this.
  void block(Turn& keys);
  void unblock(const Turn& keys);

 private:
  using Place = Turn::Place;
  static constexpr std::size_t kSlots = std::size_t{1} << 16;

  bool admit(Turn& turn);
  void unlink(Place& place);
  void promote(Place* from);
  void grant(Turn& turn);
  bool is_blocked(const Turn& turn) const;
  void let_in();

  std::mutex mutex_;
  std::vector<Place*> tails_;              // of each slot, the last place taken
  std::vector<std::uint32_t> blocked_at_;  // of each slot
  std::size_t blocked_ = 0;                // block()s that have not been undone
  std::size_t at_keys_ = 0;                // turns that have places, granted or not
  Turn* sole_ = nullptr;                   // holds everything
  Turn* line_head_ = nullptr;              // arrived behind a sole turn that waits or holds
  Turn* line_tail_ = nullptr;
};

}  // namespace crossfade
