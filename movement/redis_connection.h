// One connection to a Redis server: connect, log in, ask; one command or many at once. Errors are
// values without secrets.
//
// Only redis_connection.cc includes hiredis. Knows no command's meaning beyond AUTH and SELECT.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "movement/dial.h"
#include "protocols/base/result.h"
#include "strategies/ports.h"
#include "tls/socket.h"

struct redisContext;

namespace crossfade {

// A reply as plain data.
struct RedisReply {
  enum class Type : std::uint8_t { Text, Number, Array, Nil, Error } type = Type::Nil;
  std::string text;                  // Text, Error; any bytes
  long long number = 0;              // Number
  std::vector<RedisReply> elements;  // Array

  bool is_error() const { return type == Type::Error; }
};

// A command's name and arguments, any bytes.
using RedisCommand = std::vector<std::string_view>;

class RedisConnection {
 public:
  // Connects, logs in with the address's credentials if it has any, and selects its database if
  // that is not 0. Every step, and every later call, is bounded by timeout_ms, and ends soon after
  // a stop is requested (dial.h).
  // Speaks TLS as the address says; a time limit holds for the handshake, too.
  //   errors  Unavailable: not reached, not believed to be that server, or no answer in time;
  //           BadConfig: the server refused the login or the database, in its own words
  static Result<RedisConnection> open(const EndpointAddress& address, std::uint32_t timeout_ms,
                                      std::stop_token stop = {});

  // Sends one command and waits for its reply; an error reply is a reply.
  //   errors  Unavailable: the connection is lost, or no answer in time
  Result<RedisReply> call(const RedisCommand& command);

  // The same for several at once: as many replies, in their order.
  Result<std::vector<RedisReply>> call_all(std::span<const RedisCommand> commands);

  // Its two halves, so that two servers can be asked at once. The time runs from send() on.
  Status send(std::span<const RedisCommand> commands);
  Result<std::vector<RedisReply>> receive();

  // Waits for replies that were given up (owed() > 0), so that what they answer is known to be
  // over.
  Result<std::vector<RedisReply>> receive_late(std::uint32_t timeout_ms);

  // All calls from now on end at that time, however long each takes; Deadline::max(): each has
  // timeout_ms again.
  void end_by(Deadline end) { end_by_ = end; }
  // Replies that were asked for and did not come.
  std::size_t owed() const { return owed_; }
  // The server's end is closed, or what came from it makes no sense.
  bool lost() const { return lost_; }
  // A call has ended as its answer did not come in time.
  bool late() const { return late_; }
  // The same, found out without asking anything; while nothing is owed.
  bool has_ended();
  // While something is owed: a part of it, or the connection's end, is here.
  bool answer_waits() const;
  // The system finds out within about so long that a server is gone which cannot say so.
  void keep_alive(std::chrono::seconds within);

  // Sends the bytes of exactly one request as they are, and waits for its reply: the bytes of that,
  // whole. After an error the connection is of no more use.
  //   errors  Unavailable: likewise; Overloaded: the reply is longer than reply_max bytes
  Result<std::string> call_raw(std::string_view request, std::size_t reply_max);

 private:
  struct Closer {
    void operator()(redisContext* context) const noexcept;
  };
  RedisConnection(redisContext* context, std::string endpoint, std::uint32_t timeout_ms,
                  std::stop_token stop)
      : context_(context),
        endpoint_(std::move(endpoint)),
        timeout_ms_(timeout_ms),
        stop_(std::move(stop)) {}
  Status secure(const EndpointAddress& address);
  Status log_in(const EndpointAddress& address);
  Status begin_call();
  Status write(std::string_view bytes);
  Result<RedisReply> next();
  Status wait(short events);
  // What one attempt to move bytes came to, and what to poll for before the next.
  struct Moved {
    std::size_t size = 0;  // 0: wait
    short awaits = 0;
  };
  Result<Moved> moved(const TlsSocket::Step& step);
  Result<Moved> write_some(std::string_view bytes);
  Result<std::size_t> read_some(std::span<char> into);
  Error failure();
  Error lost_for(std::string reason);

  std::unique_ptr<redisContext, Closer> context_;
  std::unique_ptr<TlsSocket> tls_;  // null: plain
  std::string endpoint_;            // id, for messages
  std::uint32_t timeout_ms_;
  std::stop_token stop_;
  Deadline end_by_ = Deadline::max();
  Deadline call_ends_{};
  std::size_t owed_ = 0;
  bool lost_ = false;
  bool late_ = false;
};

}  // namespace crossfade
