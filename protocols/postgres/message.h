// Cuts typed messages out of bytes of either direction without copying them.
//
// Five bytes say what a message is and how long. What somebody may have to look at is handed over
// whole when it is not long, and else with a head of `whole_max` bytes and then piece by piece;
// rows and copied data are handed over as they arrive. So nothing is buffered because it passes by,
// be it 1 GB.
//
// Knows nothing of sockets or of what messages mean. Start-up packets have no type: startup.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

#include "protocols/postgres/fields.h"

namespace crossfade::postgres {

// Bytes of a message's length word and body, as the servers and libpq limit them (postgres.c,
// auth.c, fe-protocol3.c).
inline constexpr std::uint32_t kClientLargeMax = 0x3ffffffe;  // PQ_LARGE_MESSAGE_LIMIT
inline constexpr std::uint32_t kClientSmallMax = 10'000;      // PQ_SMALL_MESSAGE_LIMIT
inline constexpr std::uint32_t kPasswordMax = 65'535;         // PG_MAX_AUTH_TOKEN_LENGTH
inline constexpr std::uint32_t kServerLargeMax = 0x7fffffff;  // an int32
inline constexpr std::uint32_t kServerSmallMax = 30'000;      // what libpq takes of these types
inline constexpr std::uint32_t kServerLoginMax = 30'000;      // of any type before login

inline constexpr std::size_t kHeaderSize = 5;               // type byte and length word
inline constexpr std::size_t kWholeMaxDefault = 64 * 1024;  // bytes of messages awaited whole

// Whose bytes, and whether the login is over. A client's login ends with AuthenticationOk, a
// server's with its first ReadyForQuery. During login a client's bytes are cut only when a message
// was asked for: what it sends ahead may be of after the login.
enum class Stream : std::uint8_t { ClientLogin, Client, ServerLogin, Server };

// Some bytes of one message, from `offset` of it on.
struct Piece {
  char type;
  std::size_t size;    // of the whole message: type byte, length word, body
  std::size_t offset;  // of these bytes in it
  std::string_view bytes;

  bool first() const { return offset == 0; }
  bool last() const { return offset + bytes.size() == size; }
  bool whole() const { return first() && last(); }
  // Of the first piece: what there is of the body.
  std::string_view body() const { return bytes.substr(kHeaderSize); }
};
struct NeedMore {        // calling again with fewer new bytes than this is useless
  std::size_t at_least;  // > 0
};
struct Broken {  // static text; the peer does not speak this protocol, close the connection
  const char* reason;
};
using Cut = std::variant<Piece, NeedMore, Broken>;

class MessageCutter {
 public:
  explicit MessageCutter(Stream stream, std::size_t whole_max = kWholeMaxDefault)
      : stream_(stream), whole_max_(whole_max < kHeaderSize ? kHeaderSize : whole_max) {}

  // The next piece of `bytes`, which begin where the last piece ended; NeedMore takes nothing of
  // them.
  //   Broken   a length below 4, a type that nobody sends in this stream (known by its first byte,
  //            as by the server), or a length over that type's limit
  //   cost     O(1), no allocation
  Cut next(std::string_view bytes);

  // Between messages only: the login is over.
  void continue_as(Stream stream) { stream_ = stream; }
  Stream stream() const { return stream_; }
  // True between two messages.
  bool at_boundary() const { return offset_ == size_; }

 private:
  Cut begin(std::string_view bytes);

  std::size_t size_ = 0;    // of the message that is passing by
  std::size_t offset_ = 0;  // bytes of it that were handed over
  Stream stream_;
  char type_ = 0;
  std::size_t whole_max_;
};

// Bytes of the message that `bytes` begin with, if it is there whole and its length is at most
// `length_max`; else 0, and a cutter says why. Whether anybody sends that type is not asked.
//   cost   O(1): less than a cutter's, for those who look at many small ones
inline std::size_t whole_size(std::string_view bytes, std::uint32_t length_max) {
  if (bytes.size() < kHeaderSize) return 0;
  const std::uint32_t length = read_u32(bytes.data() + 1);
  const bool whole = length >= 4 && length <= length_max && length < bytes.size();
  return whole ? 1 + std::size_t{length} : 0;
}

// How many bytes at the beginning of `bytes` are whole messages of that type, and how many messages
// those are: rows and copied data pass by in runs.
//   bytes   begin at a message; lengths are judged as by a cutter of streams after login
//   cost    O(messages), no allocation
struct Run {
  std::size_t size;
  std::size_t messages;
};
Run run_of(char type, std::string_view bytes);

}  // namespace crossfade::postgres
