// Finds nodes by their hash: open addressing with linear probing, so that finding one that is there
// touches its slot and the node, and no other node.
//
// Knows neither keys nor who owns the nodes. One thread at a time.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

namespace crossfade {

template <class Node>
class HashIndex {
 public:
  // The node with that hash which is_it(node); null: none.
  template <class IsIt>
  Node* find(std::size_t hash, IsIt&& is_it) const {
    if (slots_.empty()) return nullptr;
    for (std::size_t at = home(hash); slots_[at].node != nullptr; at = next(at)) {
      if (slots_[at].hash == hash && is_it(*slots_[at].node)) return slots_[at].node;
    }
    return nullptr;
  }

  void add(std::size_t hash, Node* node) {
    if (slots_.size() < kSlotsPerNode * (size_ + 1)) grow();
    put({hash, node});
    ++size_;
  }

  // One that is there.
  void remove(std::size_t hash, const Node* node) {
    std::size_t hole = home(hash);
    while (slots_[hole].node != node) hole = next(hole);
    // Who stands behind it moves up, unless that would put him before his home.
    for (std::size_t at = next(hole); slots_[at].node != nullptr; at = next(at)) {
      if (distance(home(slots_[at].hash), at) < distance(hole, at)) continue;
      slots_[hole] = slots_[at];
      hole = at;
    }
    slots_[hole] = Slot();
    --size_;
  }

 private:
  struct Slot {
    std::size_t hash = 0;
    Node* node = nullptr;  // null: free
  };
  static constexpr std::size_t kSlotsPerNode = 2;  // at least; probes stay short
  static constexpr std::size_t kFirstSlots = 16;   // a power of two, as all sizes are

  std::size_t home(std::size_t hash) const { return hash & (slots_.size() - 1); }
  std::size_t next(std::size_t at) const { return (at + 1) & (slots_.size() - 1); }
  std::size_t distance(std::size_t from, std::size_t to) const {
    return (to - from) & (slots_.size() - 1);
  }
  void put(Slot slot) {
    std::size_t at = home(slot.hash);
    while (slots_[at].node != nullptr) at = next(at);
    slots_[at] = slot;
  }
  void grow() {
    const std::vector<Slot> before = std::move(slots_);
    slots_.assign(before.empty() ? kFirstSlots : before.size() * 2, Slot());
    for (const Slot& slot : before) {
      if (slot.node != nullptr) put(slot);
    }
  }

  std::vector<Slot> slots_;
  std::size_t size_ = 0;
};

}  // namespace crossfade
