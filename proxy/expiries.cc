// A table of hashes with a broom that goes round in it.
#include "proxy/expiries.h"

namespace crossfade {

namespace {

// Buckets that are swept with each new key. A table has at most some two buckets for each key: the
// broom is round before a quarter of them are new.
constexpr std::size_t kSweptBuckets = 8;
constexpr std::size_t kSweptWhenFull = 64;

}  // namespace

bool Expiries::set(std::uint64_t key, std::uint64_t at_ms, std::uint64_t now_ms) {
  const std::lock_guard held(mutex_);
  Room& room = rooms_[room_of(key)];
  if (const auto found = room.find(key); found != room.end()) {
    found->second = at_ms;
    return true;
  }
  const bool full = count() >= keys_max_;
  const std::uint64_t kept_ms = full ? kMarginMs : kLingerMs;
  sweep(full ? kSweptWhenFull : kSweptBuckets, now_ms > kept_ms ? now_ms - kept_ms : 0);
  if (count() >= keys_max_) return false;
  room.emplace(key, at_ms);
  count_is(count() + 1);
  return true;
}

bool Expiries::meets(std::uint64_t key, std::uint64_t from_ms, std::uint64_t to_ms) {
  if (!any()) return false;
  const std::lock_guard held(mutex_);
  Room& room = rooms_[room_of(key)];
  const auto found = room.find(key);
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
