// What one loop knows to be in the ledger while repair rests: keys of one interlay, in a table of
// its own, so that asking takes no lock and touches little memory.
//
// One thread, but for the rest and its lane. Finding allocates nothing.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/repair_rest.h"
#include "strategies/plan.h"

namespace crossfade {

// Keys by database, exactly. Open addressing; grows to its bounds, and then takes no more.
//
// Under load none of it is in a near cache: a key that is not long costs one line of memory, which
// is most of what asking costs.
class KeySet {
 public:
  static constexpr std::size_t kKeysMax = std::size_t{1} << 17;
  static constexpr std::size_t kLongBytesMax = std::size_t{8} << 20;

  bool has(std::int32_t db, std::string_view key) const;
  void add(std::int32_t db, std::string_view key);
  void clear();
  bool empty() const { return size_ == 0; }

 private:
  static constexpr std::size_t kShortKey = 44;
  struct alignas(64) Slot {
    std::uint64_t hash = 0;
    bool taken = false;
    std::int32_t db = 0;
    std::uint32_t size = 0;
    std::array<char, kShortKey> key{};  // of a long one: where it begins in long_keys_
  };
  static std::uint64_t hash_of(std::int32_t db, std::string_view key);
  std::string_view key_of(const Slot& slot) const;
  // Where it is, or would be put.
  std::size_t find(std::uint64_t hash, std::int32_t db, std::string_view key) const;
  void grow();

  std::vector<Slot> slots_;
  std::string long_keys_;
  std::size_t size_ = 0;
};

class KnownSuspects {
 public:
  KnownSuspects() : lane_(std::make_shared<RepairRest::Lane>()) {}

  // The rest of the servers that are written to from now on; null: of none.
  void follow(std::shared_ptr<RepairRest> rest);

  // The period in which something may be relied on now; 0: none.
  std::uint64_t period() const { return rest_ ? rest_->period() : 0; }

  // The key was found in the ledger, on disk, `right` being right: asked within that period.
  void learn(std::uint64_t period, Side right, std::int32_t db, std::string_view key);

  // Whether anything is known for writes that `right` answers. Cheap.
  bool any(Side right) {
    if (keys_.empty()) return false;
    if (rest_->period() == period_) return right == right_;
    keys_.clear();  // that rest is over, and with it what its table takes
    return false;
  }
  bool has(std::int32_t db, std::string_view key) const { return keys_.has(db, key); }

  // A write whose keys are all known begins. False: the rest has ended, they are known no more.
  bool rely() { return rest_->enter(*lane_, period_); }
  // So many of them are over, or will never be heard of.
  void over(std::uint64_t writes) { lane_->leave(writes); }

 private:
  std::shared_ptr<RepairRest::Lane> lane_;
  std::shared_ptr<RepairRest> rest_;
  std::uint64_t period_ = 0;  // that keys_ is of
  Side right_ = Side::Old;    // of all of keys_
  KeySet keys_;
};

}  // namespace crossfade
