// A buffer, and a thread that writes it.
#include "control/log_lines.h"

#include <poll.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <utility>

namespace crossfade {

namespace {

constexpr std::chrono::milliseconds kFarewell{1'000};
constexpr int kLook_ms = 100;  // for the end, while nobody reads

}  // namespace

LogLines::LogLines(int descriptor, std::size_t bytes_max)
    : descriptor_(descriptor), bytes_max_(bytes_max) {
  // Signals are for the threads of those who log.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([this] { work(); });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

LogLines::~LogLines() {
  flush(kFarewell);
  {
    const std::lock_guard held(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

bool LogLines::add(std::string_view line) {
  const std::lock_guard held(mutex_);
  if (waiting_.size() + writing_ + line.size() > bytes_max_) return false;
  waiting_ += line;
  changed_.notify_all();
  return true;
}

void LogLines::flush(std::chrono::milliseconds most) {
  std::unique_lock held(mutex_);
  changed_.wait_for(held, most, [this] { return waiting_.empty() && writing_ == 0; });
}

void LogLines::work() {
  std::string taken;
  std::unique_lock held(mutex_);
  while (true) {
    changed_.wait(held, [this] { return ending_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    taken.clear();
    std::swap(taken, waiting_);
    writing_ = taken.size();
    held.unlock();
    write_out(taken);
    held.lock();
    writing_ = 0;
    changed_.notify_all();
  }
}

// No more at once than a pipe that is ready takes without waiting. What is left at the end, while
// nobody reads, is dropped.
void LogLines::write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    pollfd ready{.fd = descriptor_, .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, kLook_ms) == 0) {
      const std::lock_guard held(mutex_);
      if (ending_) return;
      continue;
    }
    const std::size_t size = std::min<std::size_t>(bytes.size(), PIPE_BUF);
    const ssize_t written = ::write(descriptor_, bytes.data(), size);
    if (written < 0 && errno != EINTR && errno != EAGAIN) return;  // there is nobody to tell
    if (written <= 0) continue;
    bytes.remove_prefix(static_cast<std::size_t>(written));
    const std::lock_guard held(mutex_);
    writing_ = bytes.size();
  }
}

}  // namespace crossfade
