// Differences of counters, and the sentences that they make.
#include "control/guard_window.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>

namespace crossfade {

namespace {

constexpr std::int64_t kParts = 16;  // of a window: so often its beginning moves on

// Of second legs: those that the side is to blame for. The others were not sent for a limit, or for
// what they are.
constexpr Drop kFailures[] = {Drop::SideDown, Drop::Timeout, Drop::ConnectionLost,
                              Drop::StateRefused};

void add_second(GuardCounts& counts, std::size_t side, const SecondCounts& second) {
  std::uint64_t lost = 0;
  for (const Drop why : kFailures) lost += second.dropped[static_cast<std::size_t>(why)];
  counts.asked[side] += second.answered + lost;
  counts.failed[side] += second.errors + lost;
  counts.compared += second.answered - std::min(second.answered, second.uncompared);
}

bool goes_on(const GuardCounts& before, const GuardCounts& now) {
  for (std::size_t side = 0; side < kSides; ++side) {
    if (now.asked[side] < before.asked[side] || now.failed[side] < before.failed[side] ||
        now.leg[side].total < before.leg[side].total) {
      return false;
    }
  }
  return now.differing >= before.differing;
}

double rate(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return 0;
  return static_cast<double>(std::min(part, whole)) / static_cast<double>(whole);
}

Histogram difference(const Histogram& from, const Histogram& to) {
  Histogram between;
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    between.counts[i] = to.counts[i] - std::min(to.counts[i], from.counts[i]);
    between.total += between.counts[i];
  }
  return between;
}

// Within its bucket it is where it would be if those in it were spread evenly.
double p99_ms(const Histogram& histogram) {
  const double rank = 0.99 * static_cast<double>(histogram.total);
  double below = 0;
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    const auto here = static_cast<double>(histogram.counts[i]);
    if (here > 0 && below + here >= rank) {
      const double from = i == 0 ? 0 : static_cast<double>(Histogram::bound_ns(i - 1));
      const bool open = i + 1 == Histogram::kBuckets;
      const double to = open ? from : static_cast<double>(Histogram::bound_ns(i));
      return (from + (to - from) * (rank - below) / here) / 1e6;
    }
    below += here;
  }
  return 0;
}

std::string percent(double share) { return fmt::format("{:.3g} %", share * 100); }

std::string span(const WindowFigures& seen) { return fmt::format(" over {:.3g} s", seen.seconds); }

std::optional<Crossing> by_errors(const WindowFigures& seen, const Guardrails& rails) {
  if (!rails.error_rate) return std::nullopt;
  const double share = seen.error_rate(kNew);
  if (seen.asked[kNew] < rails.min_requests || share <= *rails.error_rate) return std::nullopt;
  return Crossing{GuardCause::ErrorRate,
                  fmt::format("error rate on new {}{} ({} of {} requests; on old {}), guardrail {}",
                              percent(share), span(seen), seen.failed[kNew], seen.asked[kNew],
                              percent(seen.error_rate(kOld)), percent(*rails.error_rate))};
}

std::optional<Crossing> by_p99(const WindowFigures& seen, const Guardrails& rails) {
  if (!rails.p99_ratio) return std::nullopt;
  for (const std::uint64_t timed : seen.timed) {
    if (timed < rails.min_requests) return std::nullopt;
  }
  const double on_old = seen.p99_ms[kOld];
  const double on_new = seen.p99_ms[kNew];
  if (on_new <= on_old * *rails.p99_ratio) return std::nullopt;
  return Crossing{
      GuardCause::P99Ratio,
      fmt::format("p99 on new is {:.3g} times that on old{} ({:.3g} ms of {} requests against "
                  "{:.3g} ms of {}), guardrail {:.3g}",
                  on_new / on_old, span(seen), on_new, seen.timed[kNew], on_old, seen.timed[kOld],
                  *rails.p99_ratio)};
}

std::optional<Crossing> by_mismatches(const WindowFigures& seen, const Guardrails& rails) {
  if (!rails.mismatch_rate) return std::nullopt;
  const double share = seen.mismatch_rate();
  if (seen.compared < rails.min_requests || share <= *rails.mismatch_rate) return std::nullopt;
  return Crossing{GuardCause::MismatchRate,
                  fmt::format("confirmed mismatches {}{} ({} of {} compared replies), guardrail {}",
                              percent(share), span(seen), seen.differing, seen.compared,
                              percent(*rails.mismatch_rate))};
}

}  // namespace

double WindowFigures::error_rate(std::size_t side) const { return rate(failed[side], asked[side]); }

double WindowFigures::mismatch_rate() const { return rate(differing, compared); }

std::optional<double> WindowFigures::p99_ratio() const {
  if (p99_ms[kOld] <= 0 || p99_ms[kNew] <= 0) return std::nullopt;
  return p99_ms[kNew] / p99_ms[kOld];
}

GuardCounts guard_counts(const InterlayTraffic& traffic, std::optional<Side> authority) {
  GuardCounts counts;
  for (std::size_t side = 0; side < kSides; ++side) {
    for (const std::uint64_t requests : traffic.requests[side]) counts.asked[side] += requests;
    counts.asked[side] += traffic.unreached[side];
    counts.failed[side] += traffic.errors[side];
  }
  counts.asked[kNew] += traffic.fallbacks_unsent;
  counts.failed[kNew] += traffic.fallbacks_unsent + traffic.fallbacks_unanswered;
  add_second(counts, kNew, traffic.second[0]);
  const bool second_is_old = authority == Side::New;
  add_second(counts, second_is_old ? kOld : kNew, traffic.second[1]);
  // Those that found no room to be judged are as if they had not been asked.
  counts.compared -= std::min(counts.compared, traffic.mismatches.dropped);
  for (const auto& classes : traffic.mismatches.classes) {
    counts.differing += classes[static_cast<std::size_t>(MismatchClass::Real)];
  }
  counts.leg = traffic.leg;
  return counts;
}

void GuardWindow::note(std::int64_t now_ms, const GuardCounts& counts, std::uint32_t window_s) {
  const bool another = window_s != window_s_ || (!kept_.empty() && now_ms < kept_.back().at_ms);
  if (another || (!kept_.empty() && !goes_on(kept_.back().counts, counts))) kept_.clear();
  window_s_ = window_s;
  const std::int64_t window_ms = std::int64_t{window_s} * 1'000;
  const std::size_t size = kept_.size();
  // The last one stays when it is a part of the window behind the one before it.
  const bool spare =
      size >= 2 && kept_[size - 1].at_ms < kept_[size - 2].at_ms + window_ms / kParts;
  if (spare) {
    kept_.back() = {now_ms, counts};
  } else {
    kept_.push_back({now_ms, counts});
  }
  // The first one stands before the window, or at its beginning.
  while (kept_.size() > 2 && kept_[1].at_ms <= now_ms - window_ms) kept_.pop_front();
}

bool GuardWindow::full() const {
  if (kept_.empty()) return false;
  return kept_.back().at_ms - kept_.front().at_ms >= std::int64_t{window_s_} * 1'000;
}

bool GuardWindow::enough(const Guardrails& rails) const {
  if (kept_.empty()) return false;
  return kept_.back().counts.asked[kNew] - kept_.front().counts.asked[kNew] >= rails.min_requests;
}

WindowFigures GuardWindow::figures() const {
  WindowFigures seen;
  if (kept_.empty()) return seen;
  const GuardCounts& from = kept_.front().counts;
  const GuardCounts& to = kept_.back().counts;
  seen.seconds = static_cast<double>(kept_.back().at_ms - kept_.front().at_ms) / 1'000;
  for (std::size_t side = 0; side < kSides; ++side) {
    seen.asked[side] = to.asked[side] - from.asked[side];
    seen.failed[side] = std::min(to.failed[side] - from.failed[side], seen.asked[side]);
    const Histogram legs = difference(from.leg[side], to.leg[side]);
    seen.timed[side] = legs.total;
    seen.p99_ms[side] = p99_ms(legs);
  }
  seen.compared = to.compared - std::min(to.compared, from.compared);
  seen.differing = std::min(to.differing - from.differing, seen.compared);
  return seen;
}

std::optional<Crossing> GuardWindow::crossing(const Guardrails& rails) const {
  if (kept_.size() < 2) return std::nullopt;
  const WindowFigures seen = figures();
  if (auto errors = by_errors(seen, rails)) return errors;
  if (auto mismatches = by_mismatches(seen, rails)) return mismatches;
  return by_p99(seen, rails);
}

}  // namespace crossfade
