// A second look at replies that differed: both sides are asked again, once.
//
// A read is sent again as it was. A write is never sent again: what its keys hold is read instead.
// Connections are its own, with the endpoints' own credentials. One thread's.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "movement/redis_connection.h"
#include "movement/reply_meaning.h"
#include "strategies/ports.h"

namespace crossfade {

// A connection to one server, made when it is needed.
class AskedSide {
 public:
  AskedSide(EndpointAddress address, const CompareSettings& settings, std::stop_token stop)
      : address_(std::move(address)), settings_(settings), stop_(std::move(stop)) {}

  // The bytes of the reply to the bytes of one request in that database (kDefaultDb: the
  // endpoint's own). A server that failed is left alone for compare_timeout_ms.
  //   errors  Unavailable, BadConfig, Overloaded (compare_again_max)
  Result<std::string> ask(std::int32_t db, std::string_view request);
  const EndpointAddress& address() const { return address_; }
  void hang_up() { connection_.reset(); }

 private:
  Status make_ready(std::int32_t db);
  Result<std::string> ask_once(std::int32_t db, std::string_view request);

  EndpointAddress address_;
  const CompareSettings& settings_;
  std::stop_token stop_;
  std::optional<RedisConnection> connection_;
  std::int64_t selected_ = 0;  // of the connection
  std::chrono::steady_clock::time_point not_before_{};
};

class SecondLook {
 public:
  // Soon after a stop is requested every answer is given up.
  SecondLook(const CompareSettings& settings, std::stop_token stop)
      : settings_(settings), stop_(std::move(stop)) {}

  // What comes of a pair that was judged Different: Race, Real or Unsure.
  //   cost  blocks: at most three questions for a read, and about ten for each key of a write, each
  //         bounded by compare_timeout_ms
  MismatchClass look(const Mismatch& mismatch);
  // Nothing is to be asked just now: the servers get their connections back.
  void hang_up() {
    for (AskedSide& side : sides_) side.hang_up();
  }

 private:
  AskedSide& side_at(const EndpointAddress& address);
  MismatchClass ask_again(const Mismatch& mismatch);
  MismatchClass read_keys(const Mismatch& mismatch);
  MismatchClass read_key(const Mismatch& mismatch, std::string_view key);

  const CompareSettings& settings_;
  std::stop_token stop_;
  std::list<AskedSide> sides_;  // most recently used first
};

}  // namespace crossfade
