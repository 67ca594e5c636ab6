// The suspected keys of one migration: a book for each of its pairs of servers.
//
// A key of one pair is not the key of that name at another. What is in a book of no pair that the
// migration has now (from before an endpoint was moved, or of a ledger that did not tell pairs
// apart) may be of any: it is a stray, and counts wherever its key is asked for.
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
#include <vector>

#include "control/ledger/book.h"

namespace crossfade {

class Books {
 public:
  // The pairs that the migration has now.
  void set_pairs(std::set<std::uint64_t> pairs) { pairs_ = std::move(pairs); }

  // As Book has them; limits are of all books together.
  Book::Noted note(const Suspect& suspect, std::int64_t now_ms, std::uint64_t version,
                   const BookLimits& limits);
  bool renote(std::uint64_t pair, std::int32_t db, std::string_view key, Doubt doubt, Side right,
              std::int64_t now_ms, std::uint64_t version);
  std::vector<std::uint64_t> make_right(Side right, std::uint64_t version);
  void restore(LedgerEntry entry) {
    const std::uint64_t pair = entry.at.pair;
    book(pair).restore(std::move(entry));
  }
  // The pair's own entry comes before strays.
  std::optional<Side> right_of(std::uint64_t pair, std::int32_t db, std::string_view key) const;
  std::uint64_t size() const;
  std::uint64_t right_on(Side side) const;
  std::uint64_t size_at(std::uint64_t pair) const;  // what counts at that pair
  std::optional<LedgerEntry> find(std::uint64_t seq) const;
  void written(std::uint64_t seq, Side right) {
    for (auto& [pair, one] : books_) one.written(seq, right);
  }
  void page(std::uint64_t after, std::size_t limit, std::vector<LedgerEntry>& into) const;
  // All entries that count at that pair.
  std::vector<LedgerEntry> all_of(std::uint64_t pair) const;

  // Each book that does not rest has its share.
  //   resting  pairs; strays rest while any pair does
  void due(std::int64_t now_steady_ms, std::size_t max, const std::set<std::uint64_t>& resting,
           std::vector<LedgerEntry>& into);
  template <class RetryAt>
  Book::Settled settle(const SuspectKey& at, std::uint64_t version, RepairOutcome outcome,
                       const std::string& why, std::uint32_t places, RetryAt&& retry_at) {
    return book(at.pair).settle(at, version, outcome, why, places, retry_at);
  }

  std::array<std::uint64_t, kDoubts> noted() const;
  std::array<std::uint64_t, kRepairOutcomes> repaired() const;

 private:
  Book& book(std::uint64_t pair) { return books_.try_emplace(pair, next_seq_).first->second; }
  bool is_stray(std::uint64_t pair) const { return !pairs_.contains(pair); }

  // Of all books: no two entries of a migration have one.
  std::shared_ptr<std::uint64_t> next_seq_ = std::make_shared<std::uint64_t>(1);
  std::map<std::uint64_t, Book> books_;
  std::set<std::uint64_t> pairs_;
  std::size_t turn_ = 0;  // which book is asked first
};

}  // namespace crossfade
