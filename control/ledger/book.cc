// Finding, ordering, handing out.
#include "control/ledger/book.h"

#include <algorithm>
#include <functional>

namespace crossfade {

Book::KeyView Book::view_of(std::int32_t db, std::string_view key) {
  constexpr std::uint64_t kSpread = 0x9e3779b97f4a7c15;  // 2^64 by the golden ratio
  const auto number = static_cast<std::uint64_t>(static_cast<std::uint32_t>(db));
  return {std::hash<std::string_view>{}(key) ^ static_cast<std::size_t>(number * kSpread), db, key};
}

Book::Node* Book::find_node(const KeyView& key) const {
  return shards_[shard_of(key.hash)].find(key.hash, [&](const Node& node) {
    return node.first.at.db == key.db && node.first.at.key == key.key;
  });
}

std::optional<Side> Book::right_of(std::int32_t db, std::string_view key) const {
  const Node* const node = find_node(view_of(db, key));
  return node == nullptr ? std::nullopt : std::optional(node->second.right);
}

void Book::add(const KeyView& key, std::uint64_t pair, Entry entry) {
  const std::uint64_t seq = entry.seq;
  const auto right = static_cast<std::size_t>(entry.right);
  auto node =
      std::make_unique<Node>(Key{key.hash, {key.db, std::string(key.key), pair}}, std::move(entry));
  shards_[shard_of(key.hash)].add(key.hash, node.get());
  by_seq_.emplace_hint(by_seq_.end(), seq, std::move(node));
  bytes_ += key.key.size();
  ++right_[right];
}

Book::Noted Book::note(const Suspect& suspect, std::int64_t now_ms, std::uint64_t version,
                       const BookLimits& limits) {
  ++noted_[static_cast<std::size_t>(suspect.doubt)];
  const KeyView key = view_of(suspect.at);
  if (Node* node = find_node(key)) {
    Entry& entry = node->second;
    entry.version = version;
    entry.place = 0;  // where it was seen equal it may differ now
    // A comparison knows only who is right as a rule; the write that failed knew better.
    if (suspect.doubt == Doubt::Verify) return {.durable = entry.durable};
    entry.last_at_ms = now_ms;
    entry.doubt = suspect.doubt;
    if (entry.right == suspect.right) return {.durable = entry.durable};
    --right_[static_cast<std::size_t>(entry.right)];
    ++right_[static_cast<std::size_t>(suspect.right)];
    entry.right = suspect.right;
    entry.durable = false;
    return {.write = entry.seq, .turned = true};
  }
  if (key.key.size() > limits.key_max) return {.full = "a key is too long for the ledger"};
  if (!has_room(key, limits)) {
    // Its table's entry is there and suspects all of it.
    if (key.db == kRowsDb) return {.durable = true};
    return {.full = "the ledger is full (ledger_max)"};
  }
  add(key, suspect.at.pair,
      {.doubt = suspect.doubt,
       .right = suspect.right,
       .durable = false,
       .handed = false,
       .place = 0,
       .version = version,
       .last_at_ms = now_ms,
       .first_at_ms = now_ms,
       .seq = *next_seq_,
       .attempts = 0,
       .last_error = nullptr});
  return {.write = (*next_seq_)++, .added = true};
}

bool Book::has_room(const KeyView& key, const BookLimits& limits) const {
  const std::uint64_t share = key.db == kRowsDb ? 2 : 1;
  return size() < limits.entries_max / share && bytes_ + key.key.size() <= limits.bytes_max / share;
}

bool Book::renote(std::int32_t db, std::string_view key, Doubt doubt, Side right,
                  std::int64_t now_ms, std::uint64_t version) {
  Node* const node = find_node(view_of(db, key));
  if (node == nullptr || !node->second.durable || node->second.right != right) return false;
  ++noted_[static_cast<std::size_t>(doubt)];
  node->second.version = version;
  node->second.place = 0;
  node->second.last_at_ms = now_ms;
  node->second.doubt = doubt;
  return true;
}

std::vector<std::uint64_t> Book::make_right(Side right, std::uint64_t version) {
  std::vector<std::uint64_t> changed;
  for (const auto& [seq, node] : by_seq_) {
    Entry& entry = node->second;
    if (entry.right == right) continue;
    entry.right = right;
    entry.durable = false;
    entry.version = version;
    entry.place = 0;
    changed.push_back(seq);
  }
  right_ = {};
  right_[static_cast<std::size_t>(right)] = size();
  return changed;
}

void Book::restore(LedgerEntry entry) {
  *next_seq_ = std::max(*next_seq_, entry.seq + 1);
  add(view_of(entry.at), entry.at.pair,
      {.doubt = entry.doubt,
       .right = entry.right,
       .durable = true,
       .handed = false,
       .place = 0,
       .version = entry.version,
       .last_at_ms = entry.last_at_ms,
       .first_at_ms = entry.first_at_ms,
       .seq = entry.seq,
       .attempts = entry.attempts,
       .last_error =
           entry.last_error.empty() ? nullptr : std::make_unique<std::string>(entry.last_error)});
}

LedgerEntry Book::copy_of(const Node& node) {
  const Entry& entry = node.second;
  return {.at = node.first.at,
          .doubt = entry.doubt,
          .right = entry.right,
          .seq = entry.seq,
          .first_at_ms = entry.first_at_ms,
          .last_at_ms = entry.last_at_ms,
          .version = entry.version,
          .attempts = entry.attempts,
          .place = entry.place,
          .last_error = entry.last_error == nullptr ? std::string() : *entry.last_error};
}

std::optional<LedgerEntry> Book::find(std::uint64_t seq) const {
  const auto found = by_seq_.find(seq);
  if (found == by_seq_.end()) return std::nullopt;
  return copy_of(*found->second);
}

void Book::written(std::uint64_t seq, Side right) {
  const auto found = by_seq_.find(seq);
  if (found == by_seq_.end()) return;
  Entry& entry = found->second->second;
  if (entry.right == right) entry.durable = true;  // else it was noted again, and is written again
}

void Book::page(std::uint64_t after, std::size_t limit, std::vector<LedgerEntry>& into) const {
  auto next = by_seq_.upper_bound(after);
  for (; next != by_seq_.end() && limit > 0; ++next, --limit)
    into.push_back(copy_of(*next->second));
}

void Book::due(std::int64_t now_steady_ms, std::size_t max, std::vector<LedgerEntry>& into) {
  const auto hand_out = [&](Node& node) {
    node.second.handed = true;
    into.push_back(copy_of(node));
    --max;
  };
  while (max > 0 && !waiting_.empty() && waiting_.begin()->first <= now_steady_ms) {
    hand_out(*by_seq_.at(waiting_.begin()->second));
    waiting_.erase(waiting_.begin());
  }
  for (auto next = by_seq_.upper_bound(handed_until_); max > 0 && next != by_seq_.end(); ++next) {
    hand_out(*next->second);
    handed_until_ = next->first;
  }
}

Book::Settled Book::retry(Entry& entry, RepairOutcome outcome, const std::string& why,
                          std::int64_t at_steady_ms) {
  if (outcome == RepairOutcome::Failed) entry.last_error = std::make_unique<std::string>(why);
  waiting_.emplace(at_steady_ms, entry.seq);
  // Known after a restart as well, but not written each time: only when the number has doubled.
  const bool doubled = (entry.attempts & (entry.attempts - 1)) == 0;
  return {.seq = doubled ? entry.seq : 0};
}

Book::Settled Book::seen_equal(Node& node, std::uint64_t version, std::uint32_t places) {
  Entry& entry = node.second;
  const std::uint64_t seq = entry.seq;
  // Written meanwhile: whatever was seen then says nothing about now.
  const bool noted_again = entry.version != version;
  if (noted_again || entry.place + 1 < places) {
    entry.place = noted_again ? 0 : entry.place + 1;
    waiting_.emplace(INT64_MIN, seq);  // at once
    return {};
  }
  bytes_ -= node.first.at.key.size();
  --right_[static_cast<std::size_t>(entry.right)];
  shards_[shard_of(node.first.hash)].remove(node.first.hash, &node);
  by_seq_.erase(seq);  // and with it the node
  return {.seq = seq, .removed = true};
}

}  // namespace crossfade
