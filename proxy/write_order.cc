// The queue of turns at each slot, and the line behind a sole turn.
#include "proxy/write_order.h"

#include <xxhash.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace crossfade {

std::uint64_t WriteOrder::Turn::hash_of(std::int32_t db, std::string_view key) {
  return XXH3_64bits_withSeed(key.data(), key.size(), static_cast<std::uint64_t>(db) + 1);
}

void WriteOrder::Turn::want(std::uint64_t key_hash) {
  places_.push_back({.turn = this, .slot = static_cast<std::uint32_t>(key_hash % kSlots)});
}

// One place a slot.
void WriteOrder::Turn::want_each_once() {
  if (places_.size() < 2 || state_ != State::Free) return;
  const auto by_slot = [](const Place& a, const Place& b) { return a.slot < b.slot; };
  const auto same_slot = [](const Place& a, const Place& b) { return a.slot == b.slot; };
  std::sort(places_.begin(), places_.end(), by_slot);
  places_.erase(std::unique(places_.begin(), places_.end(), same_slot), places_.end());
}

void WriteOrder::Turn::clear() {
  assert(state_ == State::Free);
  places_.clear();
  sole = met_blocked_ = false;
}

WriteOrder::WriteOrder() : tails_(kSlots), blocked_at_(kSlots) {}

bool WriteOrder::take(Turn& turn) {
  turn.want_each_once();
  const std::lock_guard held(mutex_);
  assert(turn.state_ == Turn::State::Free);
  const bool line = line_head_ != nullptr || sole_ != nullptr;
  if (!line && !turn.sole) return admit(turn);
  if (!line && at_keys_ == 0) {
    sole_ = &turn;
    turn.state_ = Turn::State::Holds;
    turn.met_blocked_ = blocked_ > 0;
    return true;
  }
  turn.state_ = Turn::State::InLine;
  turn.next_ = nullptr;
  (line_tail_ ? line_tail_->next_ : line_head_) = &turn;
  line_tail_ = &turn;
  return false;
}

// Takes the turn's places. True: all are due.
bool WriteOrder::admit(Turn& turn) {
  ++at_keys_;
  turn.waits_ = 0;
  for (Place& place : turn.places_) {
    Place* const last = std::exchange(tails_[place.slot], &place);
    place.due = !last || (last->due && last->turn->owner == turn.owner);
    if (!place.due) ++turn.waits_;
    place.next = nullptr;
    place.previous = last;
    if (last) last->next = &place;
  }
  turn.met_blocked_ = is_blocked(turn);
  turn.state_ = turn.waits_ == 0 ? Turn::State::Holds : Turn::State::AtKeys;
  return turn.waits_ == 0;
}

void WriteOrder::leave(Turn& turn) {
  const std::lock_guard held(mutex_);
  switch (std::exchange(turn.state_, Turn::State::Free)) {
    case Turn::State::Free:
      return;
    case Turn::State::InLine: {
      Turn* before = nullptr;
      for (Turn* one = line_head_; one != &turn; one = one->next_) before = one;
      (before ? before->next_ : line_head_) = turn.next_;
      if (line_tail_ == &turn) line_tail_ = before;
      break;
    }
    case Turn::State::AtKeys:
    case Turn::State::Holds:
      if (sole_ == &turn) {
        sole_ = nullptr;
        break;
      }
      for (Place& place : turn.places_) unlink(place);
      --at_keys_;
      break;
  }
  let_in();
}

void WriteOrder::unlink(Place& place) {
  if (place.previous) place.previous->next = place.next;
  (place.next ? place.next->previous : tails_[place.slot]) = place.previous;
  // Somebody is due now where nobody was before him, or where what stood between him and his own
  // earlier turn was given up.
  if (place.next && !place.next->due &&
      (!place.previous ||
       (place.previous->due && place.previous->turn->owner == place.next->turn->owner))) {
    promote(place.next);
  }
}

void WriteOrder::promote(Place* from) {
  const std::uint64_t owner = from->turn->owner;
  for (Place* place = from; place && place->turn->owner == owner; place = place->next) {
    place->due = true;
    if (--place->turn->waits_ == 0) grant(*place->turn);
  }
}

void WriteOrder::grant(Turn& turn) {
  turn.state_ = Turn::State::Holds;
  if (is_blocked(turn)) turn.met_blocked_ = true;
  turn.granted_(turn);
}

bool WriteOrder::is_blocked(const Turn& turn) const {
  return blocked_ > 0 &&
         std::any_of(turn.places_.begin(), turn.places_.end(),
                     [this](const Place& place) { return blocked_at_[place.slot] > 0; });
}

// Lets in whom the line has held up, as far as the next sole turn that must wait.
void WriteOrder::let_in() {
  while (line_head_ && !sole_) {
    Turn& first = *line_head_;
    if (first.sole && at_keys_ > 0) return;
    line_head_ = first.next_;
    if (!line_head_) line_tail_ = nullptr;
    if (first.sole) {
      sole_ = &first;
      first.state_ = Turn::State::Holds;
      first.met_blocked_ = blocked_ > 0;
      first.granted_(first);
    } else if (admit(first)) {
      first.granted_(first);
    }
  }
}

void WriteOrder::block(Turn& keys) {
  keys.want_each_once();
  const std::lock_guard held(mutex_);
  ++blocked_;
  for (const Place& place : keys.places_) ++blocked_at_[place.slot];
}

void WriteOrder::unblock(const Turn& keys) {
  const std::lock_guard held(mutex_);
  --blocked_;
  for (const Place& place : keys.places_) --blocked_at_[place.slot];
}

}  // namespace crossfade
