// Asking the right books.
#include "control/ledger/books.h"

#include <algorithm>

namespace crossfade {

Book::Noted Books::note(const Suspect& suspect, std::int64_t now_ms, std::uint64_t version,
                        const BookLimits& limits) {
  Book& own = book(suspect.at.pair);
  BookLimits left = limits;
  for (const auto& [pair, one] : books_) {
    if (&one == &own) continue;
    left.entries_max -= std::min(left.entries_max, one.size());
    left.bytes_max -= std::min(left.bytes_max, one.bytes());
  }
  return own.note(suspect, now_ms, version, left);
}

bool Books::renote(std::uint64_t pair, std::int32_t db, std::string_view key, Doubt doubt,
                   Side right, std::int64_t now_ms, std::uint64_t version) {
  const auto found = books_.find(pair);
  return found != books_.end() && found->second.renote(db, key, doubt, right, now_ms, version);
}

std::vector<std::uint64_t> Books::make_right(Side right, std::uint64_t version) {
  std::vector<std::uint64_t> changed;
  for (auto& [pair, one] : books_) {
    const std::vector<std::uint64_t> some = one.make_right(right, version);
    changed.insert(changed.end(), some.begin(), some.end());
  }
  return changed;
}

std::optional<Side> Books::right_of(std::uint64_t pair, std::int32_t db,
                                    std::string_view key) const {
  if (const auto found = books_.find(pair); found != books_.end()) {
    if (const auto right = found->second.right_of(db, key)) return right;
  }
  for (const auto& [other, one] : books_) {
    if (other == pair || !is_stray(other)) continue;
    if (const auto right = one.right_of(db, key)) return right;
  }
  return std::nullopt;
}

std::uint64_t Books::size() const {
  std::uint64_t sum = 0;
  for (const auto& [pair, one] : books_) sum += one.size();
  return sum;
}

std::uint64_t Books::right_on(Side side) const {
  std::uint64_t sum = 0;
  for (const auto& [pair, one] : books_) sum += one.right_on(side);
  return sum;
}

std::uint64_t Books::size_at(std::uint64_t pair) const {
  std::uint64_t sum = 0;
  for (const auto& [other, one] : books_) {
    // Where nobody has told the pairs, each of them would be a stray.
    if (other == pair || (!pairs_.empty() && is_stray(other))) sum += one.size();
  }
  return sum;
}

std::optional<LedgerEntry> Books::find(std::uint64_t seq) const {
  for (const auto& [pair, one] : books_) {
    if (auto entry = one.find(seq)) return entry;
  }
  return std::nullopt;
}

void Books::page(std::uint64_t after, std::size_t limit, std::vector<LedgerEntry>& into) const {
  const auto begin = static_cast<std::ptrdiff_t>(into.size());
  for (const auto& [pair, one] : books_) one.page(after, limit, into);
  std::sort(into.begin() + begin, into.end(),
            [](const LedgerEntry& one, const LedgerEntry& other) { return one.seq < other.seq; });
  const std::size_t most = static_cast<std::size_t>(begin) + limit;
  if (into.size() > most) into.resize(most);
}

std::vector<LedgerEntry> Books::all_of(std::uint64_t pair) const {
  std::vector<LedgerEntry> entries;
  for (const auto& [other, one] : books_) {
    if (other == pair || is_stray(other)) one.page(0, one.size(), entries);
  }
  return entries;
}

void Books::due(std::int64_t now_steady_ms, std::size_t max, const std::set<std::uint64_t>& resting,
                std::vector<LedgerEntry>& into) {
  std::vector<Book*> asked;
  for (auto& [pair, one] : books_) {
    const bool rests = is_stray(pair) ? !resting.empty() : resting.contains(pair);
    if (!rests && one.size() > 0) asked.push_back(&one);
  }
  if (asked.empty()) return;
  std::rotate(asked.begin(), asked.begin() + static_cast<std::ptrdiff_t>(turn_++ % asked.size()),
              asked.end());
  const std::size_t begin = into.size();
  for (std::size_t left = asked.size(); Book * one : asked) {
    const std::size_t rest = max - (into.size() - begin);
    one->due(now_steady_ms, (rest + left - 1) / left, into);
    --left;
  }
}

std::array<std::uint64_t, kDoubts> Books::noted() const {
  std::array<std::uint64_t, kDoubts> sum{};
  for (const auto& [pair, one] : books_) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += one.noted()[i];
  }
  return sum;
}

std::array<std::uint64_t, kRepairOutcomes> Books::repaired() const {
  std::array<std::uint64_t, kRepairOutcomes> sum{};
  for (const auto& [pair, one] : books_) {
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += one.repaired()[i];
  }
  return sum;
}

}  // namespace crossfade
