// An advisory lock that ends with its holder.
#include "control/store/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
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

Result<int> open_file(const std::string& name) {
  const int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor >= 0) return descriptor;
  return Error{Errc::System, "open " + name,
               std::string(std::strerror(errno)) +
                   "; its folder must exist, and be on a file system that can be written to"};
}

// Where flock() is made of the locks that SQLite takes, and would keep our own out (flock(2)).
bool is_remote(int descriptor) {
  constexpr std::array<std::uint32_t, 3> kRemote = {0x6969, 0xff534d42, 0xfe534d42};  // NFS, CIFS
  struct statfs told {};
  return fstatfs(descriptor, &told) == 0 &&
         std::ranges::find(kRemote, static_cast<std::uint32_t>(told.f_type)) != kRemote.end();
}

// False: another one holds it.
Result<bool> lock_until(std::chrono::steady_clock::time_point deadline, int descriptor,
                        const std::string& name) {
  while (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Error{Errc::System, "lock " + name, std::strerror(errno)};
    }
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(kPause);
  }
  return true;
}

}  // namespace

Result<FileLock> FileLock::take(const std::string& path, std::uint32_t patience_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
  const std::string name = path + ".lock";
  auto beside = open_file(name);
  if (!beside) return beside.error();
  FileLock lock(*beside, -1);
  const auto in_use = [&path](const std::string& who) {
    return Error{Errc::Conflict, "open state file " + path,
                 who + " is using it; stop that one, or give this one another file with --state"};
  };
  auto got = lock_until(deadline, lock.beside_, name);
  if (!got) return got.error();
  if (!*got) return in_use("process " + holder(lock.beside_));
  auto itself = open_file(path);
  if (!itself) return itself.error();
  lock.itself_ = *itself;
  if (is_remote(lock.itself_)) return std::move(lock).sign(name);
  got = lock_until(deadline, lock.itself_, path);
  if (!got) return got.error();
  if (!*got) return in_use("a process that calls it by another name, or has lost its .lock file,");
  return std::move(lock).sign(name);
}

// Says who holds it.
Result<FileLock> FileLock::sign(const std::string& name) && {
  const std::string pid = std::to_string(getpid());
  if (ftruncate(beside_, 0) != 0 ||
      pwrite(beside_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return Error{Errc::System, "write " + name, std::strerror(errno)};
  }
  return std::move(*this);
}

FileLock::FileLock(FileLock&& other) noexcept
    : beside_(std::exchange(other.beside_, -1)), itself_(std::exchange(other.itself_, -1)) {}

FileLock::~FileLock() {
  for (const int descriptor : {itself_, beside_}) {
    if (descriptor >= 0) ::close(descriptor);
  }
}

}  // namespace crossfade
