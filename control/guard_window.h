// What an interlay's counters say of new over a window of time, and whether that crosses a
// guardrail.
//
// Pure: counts and the time are handed in. What each rate counts, and what it leaves out, is
// decision 0026's.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "control/definitions/guardrails.h"
#include "control/guard_figures.h"
#include "strategies/telemetry.h"

namespace crossfade {

inline constexpr std::size_t kOld = static_cast<std::size_t>(Side::Old);
inline constexpr std::size_t kNew = static_cast<std::size_t>(Side::New);

// Of one interlay at one moment, since its process began.
struct GuardCounts {
  // Requests, copies and second writes that a side was to answer, and those that it failed.
  std::array<std::uint64_t, kSides> asked{};
  std::array<std::uint64_t, kSides> failed{};
  std::uint64_t compared =
      0;  // pairs of replies that could be compared, and were judged if unequal
  std::uint64_t differing = 0;  // of those: confirmed
  std::array<Histogram, kSides> leg;
};

//   authority  the side that is right while writes go to both; the other one gets second writes
GuardCounts guard_counts(const InterlayTraffic& traffic, std::optional<Side> authority);

// What was seen over a window. [side]
struct WindowFigures {
  double seconds = 0;
  std::array<std::uint64_t, kSides> asked{};
  std::array<std::uint64_t, kSides> failed{};  // of these
  std::array<std::uint64_t, kSides> timed{};   // legs
  std::array<double, kSides> p99_ms{};
  std::uint64_t compared = 0;
  std::uint64_t differing = 0;  // of these

  double error_rate(std::size_t side) const;  // 0 of nothing
  double mismatch_rate() const;               // likewise
  std::optional<double> p99_ratio() const;    // nothing where one side took no time
};

struct Crossing {
  GuardCause cause;
  std::string why;  // "error rate on new 12.3 % over 60 s (123 of 1000 requests …), guardrail 5 %"
};

class GuardWindow {
 public:
  // Counts of that moment. Those that are smaller than before are another process's, or another
  // interlay's of that name: the window begins anew. So it does for another length of the window.
  void note(std::int64_t now_ms, const GuardCounts& counts, std::uint32_t window_s);
  void forget() { kept_.clear(); }

  // The first guardrail that is crossed by what the window has seen, be it as short as it may:
  // min_requests are what makes it count.
  std::optional<Crossing> crossing(const Guardrails& rails) const;
  WindowFigures figures() const;
  // New was asked min_requests in the window.
  bool enough(const Guardrails& rails) const;
  // The window is as long as it is to be.
  bool full() const;

 private:
  struct Kept {
    std::int64_t at_ms;
    GuardCounts counts;
  };
  std::deque<Kept> kept_;  // oldest first; the last one is of the last note()
  std::uint32_t window_s_ = 0;
};

}  // namespace crossfade
