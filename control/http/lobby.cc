// One thread that looks at everybody who is silent.
#include "control/http/lobby.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <utility>

#include "control/background.h"

namespace crossfade {

Lobby::Lobby(std::size_t places, Clock::duration limit, std::function<void(Visitor)> hand_on)
    : places_(places),
      limit_(limit),
      hand_on_(std::move(hand_on)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] {
        give_way();
        attend();
      }) {}

Lobby::~Lobby() {
  close();
  if (wake_ >= 0) ::close(wake_);
}

void Lobby::enter(int descriptor) {
  {
    const std::lock_guard held(mutex_);
    waiting_.push_back({.descriptor = descriptor, .came = Clock::now()});
  }
  ::eventfd_write(wake_, 1);
}

void Lobby::close() {
  {
    const std::lock_guard held(mutex_);
    ending_ = true;
  }
  ::eventfd_write(wake_, 1);
  if (thread_.joinable()) thread_.join();
  for (const Visitor& visitor : waiting_) ::close(visitor.descriptor);
  waiting_.clear();
}

void Lobby::attend() {
  // Without an eventfd (no descriptor was left) it looks up again and again.
  constexpr auto kBlind = std::chrono::milliseconds(10);
  std::vector<int> waiting;
  std::vector<pollfd> polled;
  std::vector<int> stirring;
  for (;;) {
    Clock::duration pause = look_at(waiting);
    if (pause < Clock::duration::zero()) return;
    if (wake_ < 0) pause = std::min<Clock::duration>(pause, kBlind);
    polled.assign(1, {.fd = wake_, .events = POLLIN, .revents = 0});
    for (const int one : waiting) polled.push_back({.fd = one, .events = POLLIN, .revents = 0});
    const auto pause_ms = std::chrono::ceil<std::chrono::milliseconds>(pause).count();
    if (::poll(polled.data(), polled.size(), static_cast<int>(pause_ms)) < 0) continue;
    eventfd_t ignored = 0;
    ::eventfd_read(wake_, &ignored);
    stirring.clear();
    for (std::size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents != 0) stirring.push_back(polled[i].fd);
    }
    sort_out(stirring);
  }
}

Lobby::Clock::duration Lobby::look_at(std::vector<int>& waiting) {
  constexpr auto kLongest = std::chrono::minutes(1);
  const std::lock_guard held(mutex_);
  waiting.clear();
  if (ending_) return std::chrono::seconds(-1);
  for (const Visitor& visitor : waiting_) waiting.push_back(visitor.descriptor);
  if (waiting_.empty()) return kLongest;
  const Clock::duration left = waiting_.front().came + limit_ - Clock::now();
  return std::clamp<Clock::duration>(left, Clock::duration::zero(), kLongest);
}

// `stirring` is in the order of waiting_.
void Lobby::sort_out(const std::vector<int>& stirring) {
  std::vector<Visitor> ready;
  {
    const std::lock_guard held(mutex_);
    if (ending_) return;
    std::size_t next = 0;
    std::deque<Visitor> silent;
    for (const Visitor& visitor : waiting_) {
      const bool stirs = next < stirring.size() && stirring[next] == visitor.descriptor;
      if (stirs) ++next;
      (stirs ? ready.emplace_back() : silent.emplace_back()) = visitor;
    }
    const Clock::time_point now = Clock::now();
    while (!silent.empty() && (silent.size() > places_ || silent.front().came + limit_ <= now)) {
      ::close(silent.front().descriptor);
      silent.pop_front();
    }
    waiting_ = std::move(silent);
  }
  for (const Visitor& visitor : ready) hand_on_(visitor);
}

}  // namespace crossfade
