// The ledger on disk: one SQLite file beside the state file, written in batches.
//
// A file of its own, as two writers of one file wait for each other (docs/decisions/0014). Keeps
// all SQL of it. One thread at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "control/ledger/entry.h"
#include "control/store/sqlite.h"
#include "protocols/base/result.h"

namespace crossfade {

inline constexpr int kLedgerSchema = 2;
inline constexpr std::uint32_t kDropSlice = 4'096;  // entries of a deleted migration, per batch

// A server of a migration, as it was seen last.
struct LedgerServer {
  std::string endpoint;                            // id; for messages
  std::string place;                               // host:port
  std::string run_id;                              // of its process
  std::optional<std::uint64_t> evicted_keys = {};  // by it, so far; not kept on disk
  std::uint32_t takeovers = 0;                     // seen of it; likewise
  Side side = Side::Old;                           // for messages; likewise
};

// What there is to say about a migration's entries as a whole.
struct LedgerHead {
  std::int64_t number = 0;  // stands for the migration in the file
  std::string uuid;
  bool open = false;                  // both sides are being written: a crash leaves doubts
  std::vector<LedgerReason> reasons;  // not empty: it needs full verification
  std::vector<LedgerServer> servers;  // of a place: one
};

class LedgerFile {
 public:
  // What one transaction changes. In this order.
  struct Batch {
    struct Put {
      std::int64_t number;
      LedgerEntry entry;
    };
    struct Removal {
      std::int64_t number;
      std::uint64_t seq;
    };
    std::vector<LedgerHead> heads;
    std::vector<Put> puts;
    std::vector<Removal> removals;
    std::int64_t drop = 0;  // deletes up to kDropSlice entries of it, then its head; 0: none
  };

  //   errors  as open_database()
  static Result<LedgerFile> open(const std::string& path);

  Result<std::vector<LedgerHead>> heads();
  // Up to `limit` entries with a greater seq, in its order.
  Result<std::vector<LedgerEntry>> entries(std::int64_t number, std::uint64_t after,
                                           std::uint32_t limit);

  // All or nothing, and on the disk when it returns success.
  //   returns  whether `drop` is gone, all of it
  Result<bool> write(const Batch& batch);

 private:
  explicit LedgerFile(Sqlite sqlite) : sqlite_(std::move(sqlite)) {}
  Status put_head(const LedgerHead& head);
  Status put_entry(const Batch::Put& put);
  Result<bool> drop(std::int64_t number);
  Result<bool> write_all(const Batch& batch);

  Sqlite sqlite_;
};

}  // namespace crossfade
