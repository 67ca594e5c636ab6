// Settles one entry of the ledger: makes the wrong side's key what it is on the right side, and
// believes only what it then reads.
//
// 1. Connections that were given up with a write under way are ended at their servers, else what
//    they carried could come after the copy.
// 2. The key's turn is held: no write to it is in flight, and none begins.
// 3. Both sides are read; equal ones are left alone, else the key is copied, and both are read
//    again.
//
// One thread's. Knows nothing of when, in which order, and how fast: repair_worker.h.
#pragma once

#include <cstdint>
#include <list>
#include <stop_token>
#include <string>

#include "movement/redis_content.h"
#include "movement/redis_line.h"
#include "strategies/ports.h"

namespace crossfade {

struct RepairLimits {
  std::uint32_t rate_max = 2'000;       // keys per second
  std::uint32_t turn_share_max = 50;    // percent of the time during which a key's turn is held
  std::uint32_t batch_max = 256;        // entries asked for at once
  std::uint32_t poll_ms = 50;           // pause when nothing is due
  std::uint32_t answer_ms = 3'000;      // connecting, logging in, ending connections: each
  std::uint32_t hold_ms = 500;          // waiting for a key's turn
  std::uint32_t turn_ms = 5'000;        // holding it; twice as long with every attempt, up to
  std::uint32_t turn_most_ms = 60'000;  // this: a value that is too large for one may fit the next
  std::size_t big_value = 64u << 20;    // bytes of a dump that are worth being counted
  // Values that differ in their bytes are compared by content up to these, else copied unseen:
  ContentLimits compare{.bytes_max = 8u << 20, .elements_max = 200'000};
  // and written by ordinary commands, where a server takes no dump, up to these.
  ContentLimits rewrite{.bytes_max = 64u << 20, .elements_max = 1'000'000};
};

struct Settled {
  RepairOutcome outcome = RepairOutcome::Failed;
  std::string why;                 // for Failed
  std::uint64_t bytes_copied = 0;  // of dumps
  std::uint64_t fenced = 0;        // connections that were ended
  bool big = false;                // beyond big_value
  std::uint64_t held_us = 0;       // the key's turn
};

class RedisRepair {
 public:
  RedisRepair(const RepairDoors& doors, const RepairLimits& limits, std::stop_token stop)
      : doors_(doors), limits_(limits), stop_(std::move(stop)) {}

  // Blocks up to the limits, and ends soon after a stop is requested.
  Settled settle(const RepairTask& task);

  // Nothing is due: no connection is kept open for what may come.
  void hang_up() {
    for (RedisLine& line : lines_) line.hang_up();
  }

 private:
  // What is known of one task while its turn is held.
  struct Turn {
    const RepairTask& task;
    BothLines lines;
    Settled& settled;
    Side right_side = Side::Old;  // by now: a write before the turn may have told better
    bool rewritten = false;       // by ordinary commands

    RedisLine& right() const { return *lines[static_cast<std::size_t>(right_side)]; }
    RedisLine& wrong() const { return *lines[static_cast<std::size_t>(other(right_side))]; }
  };

  Status settle_in_turn(Turn& turn);
  Status fence(Turn& turn);
  Status copy(Turn& turn, const RedisValue& right, Sameness sameness);
  Status copy_with_leave(Turn& turn, const RedisValue& right, Sameness sameness);
  Status rewrite(Turn& turn, const RedisValue& right, const std::string& refusal);
  Result<bool> is_copied(Turn& turn);
  std::chrono::milliseconds time_of_turn(const RepairTask& task) const;
  RedisLine& line_to(const EndpointAddress& address);

  const RepairDoors& doors_;
  const RepairLimits& limits_;
  std::stop_token stop_;
  std::list<RedisLine> lines_;  // one an endpoint
};

}  // namespace crossfade
