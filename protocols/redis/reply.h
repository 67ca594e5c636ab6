// Finds where replies end in a server's bytes: RESP2 and RESP3, any nesting, any size, no
// recursion, no buffering. The bytes themselves pass by untouched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace crossfade::redis {

class ReplyScanner {
 public:
  enum class State : std::uint8_t { NeedMore, Complete, Broken };
  struct Step {
    std::size_t consumed;  // bytes that belong to this reply; all given ones when NeedMore
    State state;
  };

  // Consumes the next bytes of one top-level reply, wherever the last call stopped. Attributes
  // ('|') are part of the reply they precede. After Complete the scanner is ready for the next
  // reply.
  //   Broken   not RESP (a type byte nobody knows, a length that is no number, streamed aggregates,
  //            which no Redis sends); the connection cannot be used further
  //   cost     O(bytes), no allocation, independent of nesting depth
  Step advance(std::string_view bytes);

  // Type byte of the current or just completed top-level reply (after attributes), 0 before it is
  // known.
  char type() const { return type_; }
  // True when the reply just completed is null ("$-1", "*-1", "_").
  bool null() const { return null_; }
  // True between two replies: nothing of a reply has been consumed.
  bool at_boundary() const { return at_boundary_; }
  void reset() { *this = ReplyScanner{}; }

 private:
  // What the next byte is part of: a simple line, a length that arrives in pieces, or a bulk's
  // body.
  enum class Expects : std::uint8_t {
    Type,
    LineEnd,
    LineFeed,
    FirstDigit,
    Digits,
    Return,
    LengthFeed,
    Body
  };
  // Whole: a value, or the head of an aggregate, has ended.
  enum class Next : std::uint8_t { Inside, Whole, Broken };
  Next begin_value(const char*& at, const char* end);
  Next skip_line(const char*& at, const char* end);
  Next skip_body(const char*& at, const char* end);
  Next read_length_slowly(char c);
  Next take_length(std::int64_t length);

  std::uint64_t outstanding_ = 1;  // values still to come before the reply is whole
  std::int64_t bulk_left_ = 0;     // body bytes still to come, CRLF included
  std::int64_t number_ = 0;        // the length being read
  Expects expects_ = Expects::Type;
  char line_type_ = 0;
  char type_ = 0;
  bool negative_ = false;
  bool outermost_ = false;  // the value being read is the reply itself, not an element of it
  bool null_ = false;
  bool at_boundary_ = true;
};

// The pub/sub view of one frame: an array (RESP2) or push ('>', RESP3).
enum class PushKind : std::uint8_t {
  NeedMore,     // too few bytes to tell
  NotPush,      // an ordinary reply
  Message,      // message, pmessage, smessage, invalidate, any other unasked-for push
  Subscribed,   // subscribe, psubscribe, ssubscribe: answers a request
  Unsubscribed  // unsubscribe, punsubscribe, sunsubscribe
};
enum class PushSpace : std::uint8_t { Channels, Patterns, Shards };
struct Push {
  PushKind kind;
  PushSpace space = PushSpace::Channels;  // for Subscribed and Unsubscribed
  std::int64_t count = -1;  // third element of those two: subscriptions left; needs the whole frame
};
// Looks at the beginning of a frame. Subscribed/Unsubscribed are returned only once the frame is
// whole. Everything that begins with '>' is at least Message; '*' is a push only if its first
// element is one of the words above with the right number of elements.
Push classify_push(std::string_view frame);

}  // namespace crossfade::redis
