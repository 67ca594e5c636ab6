// One blocking connection to a Redis server: connect, log in, ask. Errors are values without
// secrets.
//
// Only redis_connection.cc includes hiredis. Knows no command's meaning beyond AUTH and SELECT.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/base/result.h"
#include "strategies/ports.h"

struct redisContext;

namespace crossfade {

// A reply as plain data.
struct RedisReply {
  enum class Type : std::uint8_t { Text, Number, Array, Nil, Error } type = Type::Nil;
  std::string text;                  // Text, Error
  long long number = 0;              // Number
  std::vector<RedisReply> elements;  // Array

  bool is_error() const { return type == Type::Error; }
};

class RedisConnection {
 public:
  // Connects, logs in with the address's credentials if it has any, and selects its database if
  // that is not 0. Every step, and every later call, is bounded by timeout_ms.
  //   errors  Unavailable: not reached, or no answer in time; BadConfig: the server refused the
  //   login or
  //           the database, in its own words
  static Result<RedisConnection> open(const EndpointAddress& address, std::uint32_t timeout_ms);

  // Sends one command and waits for its reply; an error reply is a reply.
  //   errors  Unavailable: the connection is lost, or no answer in time
  Result<RedisReply> call(const std::vector<std::string_view>& arguments);

 private:
  struct Closer {
    void operator()(redisContext* context) const noexcept;
  };
  RedisConnection(redisContext* context, std::string endpoint, std::uint32_t timeout_ms)
      : context_(context), endpoint_(std::move(endpoint)), timeout_ms_(timeout_ms) {}
  Status log_in(const EndpointAddress& address);
  Error failure(const char* doing) const;
  Error too_late(const char* doing) const;

  std::unique_ptr<redisContext, Closer> context_;
  std::string endpoint_;  // id, for messages
  std::uint32_t timeout_ms_;
};

}  // namespace crossfade
