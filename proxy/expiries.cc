// A table of hashes with a broom that goes round in it.
#include "proxy/expiries.h"

#include <chrono>
#include <utility>

#include "proxy/write_order.h"

namespace crossfade {

namespace {

// Buckets that are swept with each new key. A table has at most some two buckets for each key: the
// broom is round before a quarter of them are new.
constexpr std::size_t kSweptBuckets = 8;
constexpr std::size_t kSweptWhenFull = 64;

}  // namespace

std::uint64_t unix_ms() {
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                        std::chrono::system_clock::now().time_since_epoch())
                                        .count());
}

bool Expiries::set(std::int32_t db, std::string_view key, std::uint64_t at_ms,
                   std::uint64_t now_ms) {
  const std::lock_guard held(mutex_);
  const std::uint64_t hash = hash_of(db, key);
  Room& room = room_of(hash);
  const auto found = room.find(hash);
  if (found == room.end()) return add(hash, at_ms, now_ms, keys_max_);
  found->second = at_ms;
  return true;
}

bool Expiries::see(std::int32_t db, std::string_view key, std::uint64_t at_ms,
                   std::uint64_t now_ms) {
  const std::lock_guard held(mutex_);
  const std::uint64_t hash = hash_of(db, key);
  Room& room = room_of(hash);
  const auto found = room.find(hash);
  if (found == room.end()) return add(hash, at_ms, now_ms, keys_max_ / 2);
  if (found->second + kMarginMs < now_ms) found->second = at_ms;
  return true;
}

std::optional<std::uint64_t> Expiries::of(std::int32_t db, std::string_view key) {
  if (!any()) return std::nullopt;
  const std::lock_guard held(mutex_);
  const std::uint64_t hash = hash_of(db, key);
  const Room& room = room_of(hash);
  const auto found = room.find(hash);
  return found == room.end() ? std::nullopt : std::optional(found->second);
}

void Expiries::swap(std::int32_t one_db, std::int32_t other_db) {
  const std::lock_guard held(mutex_);
  const auto name_of = [this](std::int32_t db) -> std::int32_t& {
    return first_names_.try_emplace(db, db).first->second;
  };
  std::swap(name_of(one_db), name_of(other_db));
}

std::uint64_t Expiries::hash_of(std::int32_t db, std::string_view key) const {
  const auto found = first_names_.find(db);
  return WriteOrder::Turn::hash_of(found == first_names_.end() ? db : found->second, key);
}

// A new one, as long as there are fewer than `most`.
bool Expiries::add(std::uint64_t key, std::uint64_t at_ms, std::uint64_t now_ms, std::size_t most) {
  const bool full = count() >= most;
  const std::uint64_t kept_ms = full ? kMarginMs : kLingerMs;
  sweep(full ? kSweptWhenFull : kSweptBuckets, now_ms > kept_ms ? now_ms - kept_ms : 0);
  if (count() >= most) return false;
  room_of(key).emplace(key, at_ms);
  count_is(count() + 1);
  return true;
}

bool Expiries::meets(std::int32_t db, std::string_view key, std::uint64_t from_ms,
                     std::uint64_t to_ms) {
  if (!any()) return false;
  const std::lock_guard held(mutex_);
  const std::uint64_t hash = hash_of(db, key);
  Room& room = room_of(hash);
  const auto found = room.find(hash);
  if (found == room.end() || to_ms + kMarginMs < found->second) return false;
  if (from_ms <= found->second + kMarginMs) return true;
  room.erase(found);  // it is long over
  count_is(count() - 1);
  return false;
}

// Goes on where it stopped, and takes out what was over before that moment.
void Expiries::sweep(std::size_t buckets, std::uint64_t over_ms) {
  for (std::size_t i = 0; i < buckets; ++i) {
    Room& room = rooms_[swept_room_];
    if (swept_bucket_ < room.bucket_count()) sweep_bucket(room, swept_bucket_++, over_ms);
    if (swept_bucket_ < room.bucket_count()) continue;
    swept_bucket_ = 0;
    swept_room_ = (swept_room_ + 1) % rooms_.size();
  }
}

void Expiries::sweep_bucket(Room& room, std::size_t bucket, std::uint64_t over_ms) {
  for (auto one = room.cbegin(bucket); one != room.cend(bucket);) {
    const auto [key, at_ms] = *one++;
    if (at_ms >= over_ms) continue;
    room.erase(key);
    count_is(count() - 1);
  }
}

}  // namespace crossfade
