// What a session remembers of the client's MULTI … EXEC, WATCH and the other states that tie it to
// one side until a safe point.
//
// Knows nothing of sockets and servers.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocols/redis/reply.h"
#include "proxy/redis/connection_state.h"
#include "strategies/plan.h"

namespace crossfade::redis {

inline constexpr std::string_view kDiscard = "*1\r\n$7\r\nDISCARD\r\n";
inline constexpr std::string_view kUnwatch = "*1\r\n$7\r\nUNWATCH\r\n";

// A transaction the client has open, from its MULTI to its EXEC or DISCARD.
struct Transaction {
  enum class Phase : std::uint8_t {
    None,
    Undecided,  // MULTI went home; the first key decides the side (a split of writes is in force)
    Open
  } phase = Phase::None;
  bool second = false;        // the other side gets it too, as it comes
  bool dual = false;          // the other side gets it when this one has run it
  bool poisoned = false;      // a command of it was refused by us: EXEC must not run
  bool subscribes = false;    // a SUBSCRIBE is queued in it
  bool unsubscribes = false;  // an UNSUBSCRIBE is: its confirmations may be more than one
  bool silences = false;      // a CLIENT REPLY OFF or SKIP is: its EXEC's reply is no whole frame
  std::string queued;         // Undecided: queued so far, for the other side should it be chosen
  std::uint32_t queued_count = 0;
  std::uint32_t writes = 0;           // queued on new, where `second` and `dual` are false
  Second sort = Second::Nothing;      // what the other side gets, when `second`
  std::optional<StateChange> change;  // of queued SELECT, AUTH, …: takes effect with EXEC

  bool open() const { return phase != Phase::None; }
};

// Subscriptions, by space, as the server's confirmations count them.
class Subscriptions {
 public:
  void note(const Push& push) {
    std::int64_t& own = counts_[static_cast<std::size_t>(push.space)];
    if (push.space == PushSpace::Shards) {
      own = push.count;
      return;
    }
    // Channels and patterns share one count: the difference belongs to the space that changed.
    const std::int64_t others = push.space == PushSpace::Channels
                                    ? counts_[static_cast<std::size_t>(PushSpace::Patterns)]
                                    : counts_[static_cast<std::size_t>(PushSpace::Channels)];
    own = push.count > others ? push.count - others : 0;
  }
  std::int64_t in(PushSpace space) const { return counts_[static_cast<std::size_t>(space)]; }
  bool any() const { return counts_[0] > 0 || counts_[1] > 0 || counts_[2] > 0; }
  void clear() { counts_ = {}; }

 private:
  std::array<std::int64_t, 3> counts_{};
};

enum class ReplyMode : std::uint8_t { On, Off, SkipNext };

}  // namespace crossfade::redis
