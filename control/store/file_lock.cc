// An advisory lock that ends with its holder.
#include "control/store/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

namespace crossfade {

namespace {

constexpr auto kPause = std::chrono::milliseconds(50);

std::string holder(int descriptor) {
  std::array<char, 32> text{};
  const ssize_t size = pread(descriptor, text.data(), text.size() - 1, 0);
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : "unknown";
}

}  // namespace

Result<FileLock> FileLock::take(const std::string& path, std::uint32_t patience_ms) {
  const std::string name = path + ".lock";
  const int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return Error{Errc::System, "open " + name, std::strerror(errno)};
  FileLock lock(descriptor);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
  while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Error{Errc::System, "lock " + name, std::strerror(errno)};
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return Error{Errc::Conflict, "open state file " + path,
                   "process " + holder(descriptor) +
                       " is using it; stop that one, or give this one another file with --state"};
    }
    std::this_thread::sleep_for(kPause);
  }
  const std::string pid = std::to_string(getpid());
  if (ftruncate(descriptor, 0) != 0 ||
      pwrite(descriptor, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return Error{Errc::System, "write " + name, std::strerror(errno)};
  }
  return lock;
}

FileLock::FileLock(FileLock&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

}  // namespace crossfade
