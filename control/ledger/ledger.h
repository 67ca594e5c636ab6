// The ledger: which keys of which migration are known or suspected to differ, in memory and on
// disk.
//
// A key counts as noted when it is on disk. Commits are grouped: a thread writes, and whatever is
// noted while it does goes into its next commit; who waits for one is told on that thread. A key
// that is known costs its look-up. What can not be kept, key by key, is never dropped silently: the
// migration then "needs full verification", with the reason.
//
//   1. beyond a limit of the book            reason noted instead of the key
//   2. the file can not be written           after `patience_ms` reason noted in memory, who waits
//                                            is told false; written as soon as that is possible
//   3. the process ended in the middle       the mark "open" is still on disk at the next start
//   4. the file was not there                a migration that writes to both sides has no mark
//   5. another side becomes right            each side may have writes that the other has not
//
// Migrations are known by their id at the doors and by their uuid on disk; one that was deleted
// takes its entries along, and what is still noted about it is dropped. Any thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "control/ledger/books.h"
#include "control/ledger/entry.h"
#include "control/ledger/ledger_file.h"
#include "protocols/base/result.h"
#include "strategies/ledger.h"
#include "strategies/ports.h"

namespace crossfade {

struct LedgerOptions {
  BookLimits limits;
  std::uint32_t patience_ms = 1'000;        // for a file that can not be written
  std::function<std::int64_t()> steady_ms;  // empty: the steady clock
};

class Ledger {
 public:
  using Durable = std::function<void(bool)>;

  explicit Ledger(LedgerOptions options);
  ~Ledger();
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Opens or creates the file, reads it, and starts the thread. Nothing is noted before.
  //   errors  as open_database()
  Status open(const std::string& path);
  // Writes what is left and ends the thread. A clean end takes the marks away: every write has been
  // answered. Afterwards who would wait is told false at once, by the thread that asks.
  enum class End : std::uint8_t { Clean, Unclean };
  void stop(End end);

  // The doors of the data plane; see LedgerDoor.
  bool note(const std::string& migration, const std::vector<Suspect>& suspects, Durable durable);
  bool renote(const std::string& migration, std::uint64_t pair, std::int32_t db,
              std::string_view key, Doubt doubt, Side right);
  bool note_all(const std::string& migration, const std::string& why, Durable durable);
  bool suspects(const std::string& migration, std::uint64_t pair, std::int32_t db,
                std::string_view key) const;
  std::optional<Side> right_of(const std::string& migration, std::uint64_t pair, std::int32_t db,
                               std::string_view key) const;
  Suspected suspected(const std::string& migration) const;
  bool swap(const std::string& migration, std::uint64_t pair, std::int32_t one_db,
            std::int32_t other_db, Durable durable);
  std::shared_ptr<const std::atomic<std::uint64_t>> size() const { return size_; }
  // Migrations that need full verification.
  std::shared_ptr<const std::atomic<std::uint64_t>> doubtful() const { return doubtful_; }

  // The life of migrations.
  struct Name {
    std::string uuid;
    std::string id;
  };
  // At the start: all that there are; what the file has of others is deleted. Whatever was open
  // when the last process ended needs full verification now.
  //   new_right  uuids of those in which new decides
  void take_up(const std::vector<Name>& migrations, const std::set<std::string>& new_right = {});
  bool knows(const std::string& uuid) const;
  // Before the first write to both sides: the mark is on disk when this returns. One that was in
  // force before, and is not known here, has lost its ledger or never had one. Where one that is
  // known was not, one side has been written alone: what entries say of the other one is no longer
  // so.
  //   right   of one that was not in force: the side that decides from now on
  //   errors  Unavailable
  enum class Before : std::uint8_t { NotInForce, InForce };
  Status begin(const Name& migration, Before before, Side right);
  // The pairs of servers (pair_of()) that it has from now on.
  void set_pairs(const std::string& uuid, std::set<std::uint64_t> pairs);
  // After the last one was answered.
  void end(const std::string& uuid);
  bool is_open(const std::string& uuid) const;
  void forget(const std::string& uuid);  // the migration is deleted

  // What answers at that place is this process, and so many keys it has evicted. Another one than
  // before has kept what it had kept, and what was evicted nobody else knows: the migration needs
  // full verification.
  void saw(const std::string& migration, const LedgerServer& server);

  // It has begun to write to both sides when one of them had writes that the other does not have.
  void was_alone(const std::string& migration);

  // An endpoint of the migration leads to another database from now on. On disk when this returns,
  // as far as the file can be written.
  void moved(const std::string& migration, Side side, const std::string& endpoint);

  // Full verification: what it began with, and its end. False when more was noted meanwhile, so
  // that it must be done again.
  std::uint64_t begin_verification(const std::string& migration);
  bool verified(const std::string& migration, std::uint64_t doubts_version);
  void end_verification(const std::string& migration);

  // Repair; `uuid` of the migration, which of its pairs cannot be reached, and at how many places
  // both sides are to be seen equal.
  std::vector<LedgerEntry> due(const std::string& uuid, std::size_t max,
                               const std::set<std::uint64_t>& resting = {});
  void settle(const std::string& migration, const SuspectKey& at, std::uint64_t version,
              RepairOutcome outcome, const std::string& why, std::uint32_t places);

  struct Summary {
    std::uint64_t entries = 0;
    std::vector<LedgerReason> reasons;     // not empty: it needs full verification
    std::array<std::uint64_t, 2> right{};  // entries, by the side that is right
  };
  // Nullopt for one that never wrote to both sides.
  std::optional<Summary> summary(const std::string& uuid) const;
  // Entries that count at that pair of its servers.
  std::uint64_t entries_at(const std::string& uuid, std::uint64_t pair) const;
  // Up to `limit` entries with a greater seq, in its order.
  std::vector<LedgerEntry> page(const std::string& uuid, std::uint64_t after,
                                std::size_t limit) const;
  LedgerFigures figures() const;

 private:
  // What is held of one migration.
  struct Held {
    std::string id;
    LedgerHead head;
    Books books;
    bool head_waits = false;  // to be written
    bool open_on_disk = false;
    std::size_t reasons_on_disk = 0;
    std::uint64_t doubts = 0;      // counts note_all()
    std::uint64_t written_to = 0;  // no entry with a greater seq was ever on disk
    bool verifying = false;        // all its keys are being looked at
    bool forgotten = false;
  };
  using HeldPtr = std::shared_ptr<Held>;
  struct Change {
    HeldPtr held;
    std::uint64_t seq;
  };
  struct Waiter {
    HeldPtr held;
    std::uint64_t after;  // so many changes of all, from the first on, must be on disk
    Durable durable;
  };
  // What commits are to bring, and who waits for them.
  struct Work {
    std::vector<HeldPtr> heads;
    std::deque<Change> changes;
    std::deque<Waiter> waiters;
    std::deque<std::int64_t> drops;

    bool empty() const {
      return heads.empty() && changes.empty() && waiters.empty() && drops.empty();
    }
  };
  enum class Wake : std::uint8_t { Commit, Waiters, End };

  // With the mutex held.
  HeldPtr find_id(std::string_view migration) const;
  HeldPtr find_uuid(const std::string& uuid) const;
  HeldPtr enlist(const Name& migration);
  void change(const HeldPtr& held, std::uint64_t seq);
  void change_head(const HeldPtr& held);
  bool differs(const HeldPtr& held, LedgerServer& before, const LedgerServer& now);
  bool doubt_all(const HeldPtr& held, const std::string& why);
  bool failing_for_long() const;
  std::int64_t retry_at(std::uint32_t attempts);

  bool wait_for_commit(std::unique_lock<std::mutex> lock, const HeldPtr& held, Durable durable);
  Status read_all();

  // The thread's.
  void run();
  Wake wait();
  void absorb();
  std::size_t gather(LedgerFile::Batch& batch);
  void commit();
  void written(const LedgerFile::Batch& batch, std::size_t changes, bool dropped);
  void not_written(const Error& error);
  void compact();
  void tell_false();

  const LedgerOptions options_;
  const std::shared_ptr<std::atomic<std::uint64_t>> size_;
  const std::shared_ptr<std::atomic<std::uint64_t>> doubtful_;
  const std::function<std::int64_t()> steady_ms_;
  std::thread thread_;

  // The thread's, once it runs.
  std::optional<LedgerFile> file_;
  Work backlog_;
  std::uint64_t changes_done_ = 0;  // on disk, or of no account any more
  std::int64_t next_try_ms_ = 0;    // steady; while the file can not be written
  std::uint32_t failures_ = 0;      // in a row

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::map<std::string, HeldPtr> by_uuid_;
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>{}(text);
    }
  };
  std::unordered_map<std::string, HeldPtr, TextHash, std::equal_to<>> by_id_;
  std::int64_t next_number_ = 1;
  std::uint64_t version_ = 0;
  Work work_;
  std::uint64_t changes_noted_ = 0;
  bool running_ = false;
  bool ending_ = false;
  std::optional<std::int64_t> failing_since_ms_;  // steady; nullopt: the file can be written
  std::string failure_;
  std::minstd_rand dice_;
  Histogram commits_;
  std::uint64_t write_failures_ = 0;
};

}  // namespace crossfade
