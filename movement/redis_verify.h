// Full verification: every key of both sides of a migration is looked at on both, and so are the
// functions.
//
// It holds nobody's turn, so a key that is written meanwhile may seem to differ; whoever is told of
// it looks again in the key's turn (redis_repair.h). Changes nothing on either side.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>

#include "movement/redis_content.h"
#include "strategies/ports.h"

namespace crossfade {

struct VerifyJob {
  EndpointAddress old_side;
  EndpointAddress new_side;
  std::uint32_t rate_max = 20'000;   // keys per second; 0: as fast as it goes
  std::uint32_t answer_ms = 10'000;  // connecting and each answer
  // Values whose bytes differ are compared by content up to these; larger ones count as differing.
  ContentLimits compare{.bytes_max = 8u << 20, .elements_max = 200'000};
  // Told of each key of the old side that expires, and when (Unix time). False: that is more than
  // is remembered.
  std::function<bool(std::int32_t db, const std::string& key, std::uint64_t at_ms)> expires =
      [](std::int32_t, const std::string&, std::uint64_t) { return true; };
};

// Blocks until it is complete, a server fails or refuses, or a stop is requested. The databases are
// those that either side has keys in. The default databases of the two sides are a pair (found as
// kDefaultDb), and every other number is one with itself; a number that is the default of only one
// side is looked at in that pair alone.
//   found     called for each key that differs in value or expiry, or is on one side only
//   progress  called now and then, with what is known so far
VerifyCounts verify_redis(const VerifyJob& job, const std::function<void(SuspectKey)>& found,
                          const std::function<void(const VerifyCounts&)>& progress,
                          std::stop_token stop);

}  // namespace crossfade
