// The state file: a store in one SQLite file, of one process, with one writer; and beside it what
// is this sidecar's own.
//
// A write is on the disk when apply() has returned success, and has not happened at all when it
// returned an error: one transaction, write-ahead log, every commit synced. The file holds endpoint
// passwords, so it is created readable by its owner only.
//
// What it can keep of a store's promises by being one process's: there are no other writers, so a
// watch tells what this process changes, the last of it also to who begins late, and nothing from
// before its start; and leases are among its threads, gone with the process as its lock is.
//
// Keeps all SQL of its file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "control/clock.h"
#include "control/store/store.h"
#include "protocols/base/result.h"

namespace crossfade {

// How many writes a migration sent to new that old did not get, by interlay: as this sidecar has
// counted.
struct Tally {
  std::string migration;  // uuid
  std::string interlay;   // uuid
  std::uint64_t writes = 0;
  bool exact = true;  // false: the process ended in between without saving

  bool operator==(const Tally&) const = default;
};

// 2: documents may be templates and apis. 3: it has a revision.
inline constexpr int kStoreSchema = 3;

class StateFile final : public Store {
 public:
  // Opens or creates the file, takes it for this process, and checks it. Waits up to patience_ms
  // for a process that has it: a supervisor may start the next one while the last one is ending.
  //   clock   by which leases expire
  //   errors  Conflict: another process has it; BadConfig: it is damaged, not ours, or of a newer
  //           version, and was left as it is: the reason says what to do; System: can not be opened
  static Result<std::unique_ptr<StateFile>> open(const std::string& path,
                                                 std::uint32_t patience_ms = 2'000,
                                                 MonotonicClock clock = monotonic_clock());
  ~StateFile() override;

  // The name of a file that is kept beside the real one, whatever link led to it. Whoever has the
  // state file has that too.
  std::string beside(const char* suffix) const;

  Result<Stored> read() override;
  Result<Revision> apply(const Changes& changes, Revision expected) override;
  Result<std::vector<Event>> events(const std::string& migration, std::uint64_t after,
                                    std::uint32_t limit) override;
  Result<std::unique_ptr<Watch>> watch(Revision after, Watcher watcher) override;
  Result<std::unique_ptr<Lease>> lease(const std::string& name,
                                       std::chrono::milliseconds ttl) override;

  // This sidecar's own. A migration or an interlay that is removed takes its tallies along.
  Result<std::vector<Tally>> tallies();
  // Replaces them. Not part of any answer's promise, nor of the revision; synced all the same, as
  // every commit is, so it is called once a second at most.
  Status save_tallies(const std::vector<Tally>& tallies);

  // Why it took nothing when it was last written to; nullopt: it was taken. Any thread.
  std::optional<std::string> failure() const;
  // Writes a little, to see whether it is taken. Synced, as every commit.
  Status try_to_write();

 private:
  struct Parts;
  explicit StateFile(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace crossfade
