// A line in the log for each call that was not let in, as far as there are not too many.
//
//   control port: 403 for 10.1.0.7, token rd: POST /api/v1/endpoints
//   control port: 401 for 10.1.0.9: GET /api/v1/migrations (and 812 others before it)
//
// Never what was shown as a token. Any number of threads.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "control/http/allowance.h"

namespace crossfade {

class RefusalLog {
 public:
  explicit RefusalLog(std::uint32_t per_minute)
      : rate_{.at_once = per_minute, .per_minute = per_minute} {}

  // The line, or nothing when it is one too many.
  //   token  the name of the token that was shown; empty: none, or an unknown one
  std::string line(int status, const std::string& peer, const std::string& method,
                   const std::string& path, const std::string& token,
                   Allowance::Clock::time_point now);

 private:
  const Rate rate_;
  std::mutex mutex_;  // guards what follows
  Allowance allowance_;
  std::uint64_t left_out_ = 0;  // since the last line
};

}  // namespace crossfade
