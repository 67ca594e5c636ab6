// The suspected keys of one migration at one pair of servers, in memory.
//
// A key is found by its hash, entries are in the order in which they came (`seq`), and those that
// repair has tried in vain wait for their time. Finding a key that is there allocates nothing.
// One thread at a time; no disk, no clock.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "control/ledger/entry.h"
#include "control/ledger/hash_index.h"
#include "strategies/ledger.h"
#include "strategies/ports.h"

namespace crossfade {

// Of entries and of bytes rows (kRowsDb) take up to half: tables always find room.
struct BookLimits {
  std::uint64_t entries_max = 1'000'000;
  std::uint64_t bytes_max = 1u << 30;  // of all keys together
  std::size_t key_max = 64u << 10;     // bytes of one key
};

class Book {
 public:
  // Entries are numbered from there on: books of one migration share it.
  explicit Book(std::shared_ptr<std::uint64_t> next_seq = std::make_shared<std::uint64_t>(1))
      : next_seq_(std::move(next_seq)) {}

  struct Noted {
    bool durable = false;        // it is on disk as it should be
    std::uint64_t write = 0;     // the entry to be written; 0: none
    bool added = false;          // it is new
    const char* full = nullptr;  // not taken, as this limit is reached
    bool turned = false;         // another side is right now than before, on a word of a write
  };
  // The key is suspected (again): what is new about it replaces what was known.
  Noted note(const Suspect& suspect, std::int64_t now_ms, std::uint64_t version,
             const BookLimits& limits);

  // The same for a key that is there, on disk, with that side being right. False: it is not, and
  // nothing was done. Allocates nothing.
  bool renote(std::int32_t db, std::string_view key, Doubt doubt, Side right, std::int64_t now_ms,
              std::uint64_t version);

  // That side is right now of all of them. Those of which the other one was are to be written, and
  // what is known of them by a repair that is under way is nothing any more.
  std::vector<std::uint64_t> make_right(Side right, std::uint64_t version);

  // As it was on disk.
  void restore(LedgerEntry entry);

  bool suspects(std::int32_t db, std::string_view key) const {
    return right_of(db, key).has_value();
  }
  std::optional<Side> right_of(std::int32_t db, std::string_view key) const;
  std::uint64_t size() const { return by_seq_.size(); }
  std::uint64_t bytes() const { return bytes_; }  // of all keys
  // How many of them are right on that side.
  std::uint64_t right_on(Side side) const { return right_[static_cast<std::size_t>(side)]; }

  // The entry to be written; nullopt when it is gone.
  std::optional<LedgerEntry> find(std::uint64_t seq) const;
  // What the disk has now says so of it.
  void written(std::uint64_t seq, Side right);

  // Appends up to `limit` entries with a greater seq, in its order.
  void page(std::uint64_t after, std::size_t limit, std::vector<LedgerEntry>& into) const;

  // Hands out entries whose time has come, oldest first; each is out until it is settled.
  void due(std::int64_t now_steady_ms, std::size_t max, std::vector<LedgerEntry>& into);

  struct Settled {
    std::uint64_t seq = 0;  // 0: nothing to do on disk
    bool removed = false;
  };
  // The outcome of an entry that was handed out.
  //   places  of the migration: it is removed when both sides were seen equal at each of them
  //   retry_at_steady_ms  gives the time of the next attempt, from the number of those made
  template <class RetryAt>
  Settled settle(const SuspectKey& at, std::uint64_t version, RepairOutcome outcome,
                 const std::string& why, std::uint32_t places, RetryAt&& retry_at_steady_ms) {
    Node* node = find_node(view_of(at));
    if (node == nullptr || !node->second.handed) return {};
    ++repaired_[static_cast<std::size_t>(outcome)];
    Entry& entry = node->second;
    entry.handed = false;
    if (outcome == RepairOutcome::Unreachable) {  // it was not tried
      waiting_.emplace(retry_at_steady_ms(entry.attempts), entry.seq);
      return {};
    }
    if (outcome == RepairOutcome::Failed || outcome == RepairOutcome::Newer) {
      return retry(entry, outcome, why, retry_at_steady_ms(++entry.attempts));
    }
    return seen_equal(*node, version, places);
  }

  const std::array<std::uint64_t, kDoubts>& noted() const { return noted_; }
  const std::array<std::uint64_t, kRepairOutcomes>& repaired() const { return repaired_; }

 private:
  struct KeyView {
    std::size_t hash;
    std::int32_t db;
    std::string_view key;
  };
  struct Key {
    std::size_t hash;
    SuspectKey at;
  };
  struct Entry {
    Doubt doubt;  // what a write touches that finds the key here comes first
    Side right;
    bool durable;  // on disk with this `right`
    bool handed;   // to the repair worker
    std::uint32_t place;
    std::uint64_t version;
    std::int64_t last_at_ms;
    std::int64_t first_at_ms;
    std::uint64_t seq;
    std::uint32_t attempts;
    std::unique_ptr<std::string> last_error;
  };
  using Node = std::pair<const Key, Entry>;
  // By the upper bits of the hash: growing one of many small indexes holds up nobody for long.
  static constexpr std::size_t kShardBits = 6;

  static KeyView view_of(std::int32_t db, std::string_view key);
  static KeyView view_of(const SuspectKey& at) { return view_of(at.db, at.key); }
  static std::size_t shard_of(std::size_t hash) { return hash >> (8 * sizeof hash - kShardBits); }
  Node* find_node(const KeyView& key) const;
  void add(const KeyView& key, std::uint64_t pair, Entry entry);
  static LedgerEntry copy_of(const Node& node);
  Settled retry(Entry& entry, RepairOutcome outcome, const std::string& why,
                std::int64_t at_steady_ms);
  bool has_room(const KeyView& key, const BookLimits& limits) const;
  Settled seen_equal(Node& node, std::uint64_t version, std::uint32_t places);

  std::array<HashIndex<Node>, std::size_t{1} << kShardBits> shards_;
  std::map<std::uint64_t, std::unique_ptr<Node>> by_seq_;
  std::shared_ptr<std::uint64_t> next_seq_;
  std::uint64_t bytes_ = 0;
  std::array<std::uint64_t, 2> right_{};                      // entries, by side
  std::uint64_t handed_until_ = 0;                            // greater seqs were never handed out
  std::set<std::pair<std::int64_t, std::uint64_t>> waiting_;  // when (steady, ms), seq
  std::array<std::uint64_t, kDoubts> noted_{};
  std::array<std::uint64_t, kRepairOutcomes> repaired_{};
};

}  // namespace crossfade
