// The table of keys: finding one, and growing to its bounds.
#include "proxy/known_suspects.h"

#include <xxhash.h>

#include <cstring>
#include <utility>

namespace crossfade {

namespace {
constexpr std::size_t kFirstSlots = 1024;  // a power of two, as all sizes are
}  // namespace

std::uint64_t KeySet::hash_of(std::int32_t db, std::string_view key) {
  return XXH3_64bits_withSeed(key.data(), key.size(), static_cast<std::uint64_t>(db) + 1);
}

std::string_view KeySet::key_of(const Slot& slot) const {
  if (slot.size <= kShortKey) return {slot.key.data(), slot.size};
  std::size_t at = 0;
  std::memcpy(&at, slot.key.data(), sizeof at);
  return std::string_view(long_keys_).substr(at, slot.size);
}

std::size_t KeySet::find(std::uint64_t hash, std::int32_t db, std::string_view key) const {
  const std::size_t last = slots_.size() - 1;
  for (std::size_t i = hash & last;; i = (i + 1) & last) {
    const Slot& slot = slots_[i];
    if (!slot.taken || (slot.hash == hash && slot.db == db && key_of(slot) == key)) return i;
  }
}

bool KeySet::has(std::int32_t db, std::string_view key) const {
  return size_ > 0 && slots_[find(hash_of(db, key), db, key)].taken;
}

void KeySet::add(std::int32_t db, std::string_view key) {
  const bool is_long = key.size() > kShortKey;
  if (size_ >= kKeysMax || (is_long && long_keys_.size() + key.size() > kLongBytesMax)) return;
  if (2 * slots_.size() < 3 * (size_ + 1)) grow();
  const std::uint64_t hash = hash_of(db, key);
  Slot& slot = slots_[find(hash, db, key)];
  if (slot.taken) return;
  slot.hash = hash;
  slot.taken = true;
  slot.db = db;
  slot.size = static_cast<std::uint32_t>(key.size());
  if (is_long) {
    const std::size_t at = long_keys_.size();
    std::memcpy(slot.key.data(), &at, sizeof at);
    long_keys_.append(key);
  } else {
    key.copy(slot.key.data(), key.size());
  }
  ++size_;
}

void KeySet::grow() {
  const std::vector<Slot> before = std::move(slots_);
  slots_.assign(before.empty() ? kFirstSlots : before.size() * 2, Slot());
  const std::size_t last = slots_.size() - 1;
  for (const Slot& slot : before) {
    if (!slot.taken) continue;
    std::size_t i = slot.hash & last;
    while (slots_[i].taken) i = (i + 1) & last;
    slots_[i] = slot;
  }
}

void KeySet::clear() {
  std::vector<Slot>().swap(slots_);
  std::string().swap(long_keys_);
  size_ = 0;
}

void KnownSuspects::follow(std::shared_ptr<RepairRest> rest) {
  if (rest == rest_) return;
  rest_ = std::move(rest);
  keys_.clear();
  if (rest_) rest_->join(lane_);
}

void KnownSuspects::learn(std::uint64_t period, Side right, std::int32_t db, std::string_view key) {
  if (period == 0 || period != this->period()) return;
  if (period != period_ || right != right_) {
    keys_.clear();
    period_ = period;
    right_ = right;
  }
  keys_.add(db, key);
}

}  // namespace crossfade
