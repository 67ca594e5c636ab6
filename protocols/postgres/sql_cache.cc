// The cache: chains of entries by hash, and a clock that goes round over the entries.
#include "protocols/postgres/sql_cache.h"

#include <xxhash.h>

#include <cassert>
#include <utility>

namespace crossfade::postgres {
namespace {

constexpr std::size_t kChainsAtFirst = 64;       // a power of two
constexpr std::size_t kAllocationOverhead = 16;  // of malloc, for each block

std::size_t weight_of(const std::string& text) {
  constexpr std::size_t kInside = 15;  // shorter ones are held by the string itself
  return text.size() > kInside ? text.size() + kAllocationOverhead : 0;
}

std::size_t weight_of(const std::vector<TableName>& tables) {
  std::size_t weight = tables.capacity() * sizeof(TableName);
  for (const TableName& table : tables) weight += weight_of(table.schema) + weight_of(table.name);
  return weight;
}

std::size_t weight_of(const Step& step) {
  if (const auto* const session = std::get_if<SessionStep>(&step.what)) {
    return weight_of(session->name) + weight_of(session->text) +
           (session->inner ? weight_of(*session->inner) : 0);
  }
  return 2 * kAllocationOverhead;
}

}  // namespace

std::size_t weight_of(const SqlFacts& facts) {
  std::size_t weight = sizeof(SqlFacts) + 5 * kAllocationOverhead +
                       facts.steps.capacity() * sizeof(Step) + weight_of(facts.read) +
                       weight_of(facts.written) + facts.forms.capacity() * sizeof(SqlForm);
  for (const Step& step : facts.steps) weight += weight_of(step);
  return weight;
}

const std::shared_ptr<const SqlFacts>* SqlCache::find(std::string_view text) {
  if (chains_.empty()) return nullptr;
  const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
  for (std::uint32_t at = chain_of(hash); at != kNobody; at = entries_[at].next) {
    Entry& entry = entries_[at];
    if (entry.hash != hash || entry.text != text) continue;
    entry.use = Entry::Use::Asked;
    return &entry.facts;
  }
  return nullptr;
}

void SqlCache::put(std::string_view text, std::shared_ptr<const SqlFacts> facts) {
  const std::size_t weight = sizeof(Entry) + kAllocationOverhead + text.size() + weight_of(*facts);
  if (weight > bytes_max_) return;
  while (bytes_ + weight > bytes_max_) let_go_one();
  const std::uint32_t at = take_entry();
  Entry& entry = entries_[at];
  entry.hash = XXH3_64bits(text.data(), text.size());
  entry.use = Entry::Use::Kept;
  entry.text.assign(text);
  entry.facts = std::move(facts);
  std::uint32_t& chain = chain_of(entry.hash);
  entry.next = std::exchange(chain, at);
  bytes_ += weight;
}

// Another text with the same parts of its hash is taken for it, which does no harm.
void SqlCache::put_again(std::string_view text, const std::shared_ptr<const SqlFacts>& facts) {
  const std::uint64_t hash = XXH3_64bits(text.data(), text.size());
  std::uint32_t& last = offered_[hash % kOffered];
  const auto part = static_cast<std::uint32_t>(hash >> 32);
  if (std::exchange(last, part) == part) put(text, facts);
}

void SqlCache::clear() {
  entries_.clear();
  free_.clear();
  chains_.clear();
  bytes_ = 0;
  hand_ = 0;
}

std::uint32_t SqlCache::take_entry() {
  if (!free_.empty()) {
    const std::uint32_t at = free_.back();
    free_.pop_back();
    return at;
  }
  if (entries_.size() >= chains_.size()) grow_chains();
  entries_.emplace_back();
  return static_cast<std::uint32_t>(entries_.size() - 1);
}

void SqlCache::let_go_one() {
  assert(size() > 0);
  for (;; ++hand_) {
    if (hand_ >= entries_.size()) hand_ = 0;
    Entry& entry = entries_[hand_];
    if (entry.use == Entry::Use::Kept) return drop(hand_++);
    if (entry.use == Entry::Use::Asked) entry.use = Entry::Use::Kept;
  }
}

void SqlCache::drop(std::uint32_t index) {
  Entry& entry = entries_[index];
  std::uint32_t* link = &chain_of(entry.hash);
  while (*link != index) link = &entries_[*link].next;
  *link = entry.next;
  bytes_ -= sizeof(Entry) + kAllocationOverhead + entry.text.size() + weight_of(*entry.facts);
  entry = Entry{};
  free_.push_back(index);
}

void SqlCache::grow_chains() {
  chains_.assign(chains_.empty() ? kChainsAtFirst : chains_.size() * 2, kNobody);
  for (std::uint32_t at = 0; at < entries_.size(); ++at) {
    Entry& entry = entries_[at];
    if (entry.use == Entry::Use::Free) continue;
    entry.next = std::exchange(chain_of(entry.hash), at);
  }
}

}  // namespace crossfade::postgres
