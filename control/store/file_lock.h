// A file that one process at a time may use.
#pragma once

#include <cstdint>
#include <string>

#include "protocols/base/result.h"

namespace crossfade {

// Holds advisory locks beside `path` (path + ".lock", which says who holds it) and of the file
// itself, which may have other names, and whose ".lock" somebody may remove (but on NFS and SMB);
// the kernel lets go of them however the process ends. The files stay, as removing them would let
// two processes lock two different files of one name.
class FileLock {
 public:
  // Waits up to patience_ms for a holder that is ending. A file that is missing is made, empty.
  //   errors  Conflict: another process holds it, named by pid; System
  static Result<FileLock> take(const std::string& path, std::uint32_t patience_ms);

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  Result<FileLock> sign(const std::string& name) &&;
  FileLock(int beside, int itself) : beside_(beside), itself_(itself) {}
  int beside_;
  int itself_;
};

}  // namespace crossfade
