// Cuts requests out of client bytes without copying them: RESP arrays of bulks, inline commands.
//
// Incremental: a cutter remembers how far it has looked, so a message that arrives byte by byte
// costs O(its size) in total. It judges form only and is never stricter than the server: what the
// server would refuse, the server refuses (the session then hands it the bytes as they are).
//
// Knows nothing of sockets, commands, or keys.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace crossfade::redis {

inline constexpr std::size_t kInlineMax = 64 * 1024;  // bytes; the server's PROTO_INLINE_MAX_SIZE
inline constexpr std::int64_t kArgsMax = 0x7fffffff;  // the server's INT_MAX
inline constexpr std::int64_t kBulkMax = 1ll << 40;   // bytes; the server's own limit is smaller

struct Request {  // a whole message: bytes[0, size)
  std::size_t size;
};
struct NeedMore {        // not whole yet; calling again with fewer new bytes than this is useless
  std::size_t at_least;  // > 0
};
struct Broken {  // static text; not a message that any server would accept
  const char* reason;
};
using Cut = std::variant<Request, NeedMore, Broken>;

class RequestCutter {
 public:
  // Looks at `bytes`, which begin at the first byte of a message and hold everything of it that was
  // given before, at the same offsets (the memory may have moved). Call reset() after Request or
  // Broken.
  //   "*0\r\n", "*-1\r\n" and empty inline lines are Requests with arg_count() == 0: the server
  //   does not answer them.
  Cut advance(std::string_view bytes);

  // Arguments that are complete so far. Valid until reset(). `bytes` as last given to advance().
  std::size_t arg_count() const { return args_.size(); }
  std::string_view arg(std::size_t index, std::string_view bytes) const;

  // Once the header line is known: how many arguments the message will have; -1 before that.
  std::int64_t declared_args() const { return declared_; }
  // While a bulk is incomplete: its declared size in bytes (without CRLF), or -1 outside of one.
  std::int64_t open_bulk_size() const { return open_bulk_; }
  // Where, in `bytes`, the body of that open bulk begins; outside of one, the next header.
  std::size_t open_bulk_offset() const { return position_; }
  bool is_inline() const { return inline_; }

  void reset();

 private:
  struct Place {
    std::size_t offset;
    std::size_t size;
  };
  Cut advance_inline(std::string_view bytes);

  std::vector<Place> args_;   // capacity is kept across messages
  std::string unescaped_;     // inline arguments after quotes and escapes; Places point into it
  std::size_t position_ = 0;  // everything before it has been looked at
  std::size_t searched_ = 0;  // no line end before it
  std::int64_t declared_ = -1;
  std::int64_t open_bulk_ = -1;
  bool inline_ = false;
};

// Follows the rest of one RESP request whose beginning is already on its way to the server, so that
// its end is known, without keeping any of it.
class RequestTail {
 public:
  // args_left: arguments not yet complete, the open bulk included; bulk_left: bytes of the open
  // bulk that have not arrived yet, its CRLF included.
  RequestTail(std::int64_t args_left, std::int64_t bulk_left)
      : args_left_(args_left), bulk_left_(bulk_left) {}

  struct Step {
    std::size_t consumed;  // bytes that belong to the message; all unless `done` or `broken`
    bool done;
    bool broken;
  };
  Step advance(std::string_view bytes);

 private:
  enum class Header : std::uint8_t { Dollar, FirstDigit, Digits, Return, Newline };  // what is next
  enum class HeaderStep : std::uint8_t { Inside, Ends, Broken };
  HeaderStep advance_header(char c);

  std::int64_t args_left_;
  std::int64_t bulk_left_;
  std::int64_t header_ = 0;  // the length being read, digit by digit
  Header header_state_ = Header::Dollar;
};

}  // namespace crossfade::redis
