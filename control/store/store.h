// The store: what survives kill -9 and a power cut. One SQLite file, one process, one writer.
//
// A write is durable when apply() has returned success, and has not happened at all when it
// returned an error: one transaction, write-ahead log, every commit synced. The file holds endpoint
// passwords, so it is created readable by its owner only.
//
// Knows documents, not definitions: what is in a body is the business of control/definitions. It
// keeps all SQL of its file.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "protocols/base/result.h"

namespace crossfade {

// One resource as a JSON text.
struct Document {
  std::string kind;  // "endpoint" | "interlay" | "template" | "api" | "migration"
  std::string uuid;
  std::string id;
  std::string body;

  bool operator==(const Document&) const = default;
};

// One line of a migration's journal. Append only.
struct Event {
  std::uint64_t seq = 0;  // set by the store; grows
  std::string migration;  // uuid
  std::string at;         // RFC 3339
  std::string actor;      // name of a token, or "crossfade" for what the process did by itself
  std::string from;       // status; empty for the first event
  std::string to;         // status; equal to `from` when something else changed
  std::string reason;

  bool operator==(const Event&) const = default;
};

// How many writes a migration sent to new that old did not get, by interlay.
struct Tally {
  std::string migration;  // uuid
  std::string interlay;   // uuid
  std::uint64_t writes = 0;
  bool exact = true;  // false: the process ended in between without saving

  bool operator==(const Tally&) const = default;
};

// What one control call changes.
struct Changes {
  std::vector<Document> put;
  std::vector<std::string> remove;  // uuids; the journal and tallies of a migration go with it
  std::vector<Event> events;
  std::optional<std::uint64_t> epoch;
};

struct Stored {
  std::vector<Document> documents;  // oldest first
  std::vector<Tally> tallies;
  std::uint64_t epoch = 0;  // the highest that was ever published
};

inline constexpr int kStoreSchema = 2;               // 2: documents may be templates and apis
inline constexpr std::uint32_t kEventsMax = 10'000;  // per migration; the oldest go first

class Store {
 public:
  // Opens or creates the file, takes it for this process, and checks it. Waits up to patience_ms
  // for a process that has it: a supervisor may start the next one while the last one is ending.
  //   errors  Conflict: another process has it; BadConfig: it is damaged, not ours, or of a newer
  //           version, and was left as it is: the reason says what to do; System: can not be opened
  static Result<std::unique_ptr<Store>> open(const std::string& path,
                                             std::uint32_t patience_ms = 2'000);
  ~Store();

  // The name of a file that is kept beside the real one, whatever link led to it. Whoever has the
  // store has that too.
  std::string beside(const char* suffix) const;

  Result<Stored> load();

  // All or nothing.
  //   errors  Unavailable: nothing was changed
  Status apply(const Changes& changes);

  // Replaces the tallies. Not part of any answer's promise; synced all the same, as every commit
  // is, so it is called once a second at most.
  Status save_tallies(const std::vector<Tally>& tallies);

  // Events of a migration with seq > after, oldest first.
  Result<std::vector<Event>> events(const std::string& migration, std::uint64_t after,
                                    std::uint32_t limit);

 private:
  struct Parts;
  explicit Store(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace crossfade
