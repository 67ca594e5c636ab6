// A file that one process at a time may use.
#pragma once

#include <cstdint>
#include <string>

#include "protocols/base/result.h"

namespace crossfade {

// Holds an advisory lock beside `path` (path + ".lock"); the kernel lets go of it however the
// process ends. The file stays, as removing it would let two processes lock two different files of
// one name.
class FileLock {
 public:
  // Waits up to patience_ms for a holder that is ending.
  //   errors  Conflict: another process holds it, named by pid; System
  static Result<FileLock> take(const std::string& path, std::uint32_t patience_ms);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace crossfade
