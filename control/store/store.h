// The store: what all sidecars of a fleet must agree about, and what survives kill -9 and a power
// cut: definitions with the status of migrations, their journal, and the last epoch.
//
// It has a revision, which grows with every change. Whoever changes something says which revision
// it has seen, and is refused when that is no longer the last one (compare-and-swap). Behind it is
// one SQLite file of one process (state_file.h); a store that a fleet shares is another
// implementation of this, and must pass tests/unit/control/store/store_contract_test.cc as that one
// does (decision 0029).
//
// Not here, as it is one sidecar's own: what it has counted (tallies, state_file.h), and the
// ledger.
//
// Knows documents, not definitions: what is in a body is the business of control/definitions. Any
// thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
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

// What one control call changes.
struct Changes {
  std::vector<Document> put;
  // Uuids. The journal of a migration stays until the next change that removes something: put back
  // before that, it has it again.
  std::vector<std::string> remove;
  std::vector<Event> events;
  std::optional<std::uint64_t> epoch;

  bool operator==(const Changes&) const = default;
};

using Revision = std::uint64_t;  // 0: nothing was ever changed

struct Stored {
  std::vector<Document> documents;  // oldest first
  std::uint64_t epoch = 0;          // the highest that was ever published
  Revision revision = 0;
};

inline constexpr std::uint32_t kEventsMax = 10'000;  // per migration; the oldest go first

// The exclusive right to a name, until it expires.
class Lease {
 public:
  virtual ~Lease() = default;  // gives it back, if it is held

  // It has not expired, as far as can be known here without asking: false is certain, true may be
  // outdated by the time that it is read. What must be done once relies on a revision as well.
  virtual bool held() const = 0;

  // It lasts for its whole time again, from now.
  //   errors  Conflict: it was lost, and stays so, though nobody else may have it: take another
  //   one;
  //           Unavailable: nobody knows; held() says until when it is ours all the same
  virtual Status renew() = 0;
};

// Ends when it goes: after that nothing is told any more.
class Watch {
 public:
  virtual ~Watch() = default;
};

class Store {
 public:
  virtual ~Store() = default;

  virtual Result<Stored> read() = 0;

  // All or nothing, and durable when it returns success.
  //   expected  the revision that the change was made from
  //   returns   the new revision: the next one of `expected`
  //   errors    Conflict: the store is at another revision; Unavailable: it can not be written.
  //             Either way nothing was changed. System: it failed at the end, and a process that
  //             starts before another change was made may find it made; here it is not, and read()
  //             says so. `reason` says that to people. No change is begun until it is settled.
  virtual Result<Revision> apply(const Changes& changes, Revision expected) = 0;

  // Events of a migration with seq > after, oldest first.
  virtual Result<std::vector<Event>> events(const std::string& migration, std::uint64_t after,
                                            std::uint32_t limit) = 0;

  // Is told a change that was made, and the revision that it led to. One at a time, on any thread;
  // it may read the store, and do nothing else with it.
  using Watcher = std::function<void(Revision revision, const Changes& changes)>;

  // Tells every change behind revision `after`, in order, none twice: those that have been made
  // first, before this returns or soon after it. `seq` of events is not told.
  //   errors  NotFound: what was changed since then is no longer known one by one: read, and watch
  //           from there; Unavailable
  virtual Result<std::unique_ptr<Watch>> watch(Revision after, Watcher watcher) = 0;

  // The lease of a name, for `ttl` from now unless it is renewed. It must not outlive the store.
  //   errors  Conflict: somebody has it; Unavailable
  virtual Result<std::unique_ptr<Lease>> lease(const std::string& name,
                                               std::chrono::milliseconds ttl) = 0;
};

}  // namespace crossfade
