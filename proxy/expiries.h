// When keys are about to expire, as far as writes, repair and verification have told. A write that
// meets that moment may find its key on one side and not on the other: it must not be trusted to do
// the same on both.
//
// Bounded, and never slow: what is over is swept out a little with each new key, and the table is
// cut into rooms, so that no growing of it is felt. When it is full of what is still to come, a new
// key is refused, and the caller is told. Any thread; one mutex.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>

namespace crossfade {

// What a migration says when the table has refused a key.
inline constexpr const char* kExpiriesFull =
    "more keys with an expiry were written than are remembered: such a key may differ after a "
    "write "
    "that met its end";

std::uint64_t unix_ms();

class Expiries {
 public:
  static constexpr std::size_t kKeysMax = 1'000'000;
  // Around the moment itself: how long legs take, and how far the clocks of both servers and ours
  // may be apart.
  static constexpr std::uint64_t kMarginMs = 1'000;
  // How long one that is over is still known while there is room: a write that is under way asks
  // for it when it ends, and may take as long as an answer may.
  static constexpr std::uint64_t kLingerMs = 60'000;

  explicit Expiries(std::size_t keys_max = kKeysMax) : keys_max_(keys_max) {}

  // The key's expiry, in place of the one that was known. False: there is no room for one more key;
  // one that is known already is always updated.
  //   at_ms, now_ms   Unix time
  [[nodiscard]] bool set(std::int32_t db, std::string_view key, std::uint64_t at_ms,
                         std::uint64_t now_ms);

  // The same, as somebody has read it who did not keep writers off: what is known stays, unless it
  // is over, and half of the room is left to those who set expiries. False: no room.
  [[nodiscard]] bool see(std::int32_t db, std::string_view key, std::uint64_t at_ms,
                         std::uint64_t now_ms);

  // What is known of it.
  std::optional<std::uint64_t> of(std::int32_t db, std::string_view key);

  // Two databases have changed places, and what is known goes along.
  void swap(std::int32_t one_db, std::int32_t other_db);

  // Is any known? Cheap; while there is none nobody need ask the clock.
  bool any() const { return count() > 0; }
  std::size_t count() const { return count_.load(std::memory_order_relaxed); }

  // Whether the key expires, or has expired, between these moments.
  bool meets(std::int32_t db, std::string_view key, std::uint64_t from_ms, std::uint64_t to_ms);

 private:
  using Room = std::unordered_map<std::uint64_t, std::uint64_t>;  // key's hash -> Unix time, ms
  static constexpr std::size_t kRoomBits = 8;

  std::uint64_t hash_of(std::int32_t db, std::string_view key) const;
  Room& room_of(std::uint64_t key) { return rooms_[key >> (64 - kRoomBits)]; }
  bool add(std::uint64_t key, std::uint64_t at_ms, std::uint64_t now_ms, std::size_t most);
  void sweep(std::size_t buckets, std::uint64_t over_ms);
  void sweep_bucket(Room& room, std::size_t bucket, std::uint64_t over_ms);
  void count_is(std::size_t count) { count_.store(count, std::memory_order_relaxed); }

  const std::size_t keys_max_;
  std::mutex mutex_;                                  // guards what follows
  std::map<std::int32_t, std::int32_t> first_names_;  // of databases that have changed places
  std::array<Room, 1u << kRoomBits> rooms_;
  std::size_t swept_room_ = 0;  // where the next sweep goes on
  std::size_t swept_bucket_ = 0;
  std::atomic<std::size_t> count_{0};  // in all rooms
};

}  // namespace crossfade
