// How often something may happen: so many times at once, and so many more in each minute.
//
// One point in time is all that is kept. The clock is handed in.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace crossfade {

struct Rate {
  std::uint32_t at_once = 1;     // >= 1
  std::uint32_t per_minute = 1;  // >= 1
};

class Allowance {
 public:
  using Clock = std::chrono::steady_clock;

  // Uses one up; false when there is none.
  bool take(const Rate& rate, Clock::time_point now) {
    if (wait(rate, now) > Clock::duration::zero()) return false;
    used_until_ = std::max(used_until_, now) + each(rate);
    return true;
  }

  // Until there is one; zero or less: there is.
  Clock::duration wait(const Rate& rate, Clock::time_point now) const {
    return used_until_ - now - each(rate) * (rate.at_once - 1);
  }

 private:
  static Clock::duration each(const Rate& rate) {
    return Clock::duration(std::chrono::minutes(1)) / rate.per_minute;
  }

  // When all of it will be there again.
  Clock::time_point used_until_;
};

}  // namespace crossfade
