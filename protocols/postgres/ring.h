// A queue in one piece of memory that is used again: no allocation in steady state.
#pragma once

#include <cassert>
#include <cstddef>
#include <type_traits>
#include <utility>
#include <vector>

namespace crossfade::postgres {

template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  T& front() {
    assert(!empty());
    return slots_[head_];
  }
  const T& front() const {
    assert(!empty());
    return slots_[head_];
  }
  T& back() {
    assert(!empty());
    return slots_[(head_ + size_ - 1) & (slots_.size() - 1)];
  }
  // index: from the front on, in 0..size() - 1
  const T& at(std::size_t index) const {
    assert(index < size_);
    return slots_[(head_ + index) & (slots_.size() - 1)];
  }
  T& at(std::size_t index) { return const_cast<T&>(std::as_const(*this).at(index)); }
  void push(T value) {
    if (size_ == slots_.size()) grow();
    slots_[(head_ + size_) & (slots_.size() - 1)] = std::move(value);
    ++size_;
  }
  // A new last one, as forget() leaves it, or T{} where none was there before: to be filled in.
  T& push() requires requires(T& slot) { slot.forget(); }
  {
    if (size_ == slots_.size()) grow();
    ++size_;
    return back();
  }
  void pop() {
    assert(!empty());
    if constexpr (requires(T & slot) { slot.forget(); }) {
      slots_[head_].forget();
    } else if constexpr (!std::is_trivially_destructible_v<T>) {
      slots_[head_] = T{};
    }
    head_ = (head_ + 1) & (slots_.size() - 1);
    if (--size_ == 0 && slots_.size() > kKept) slots_ = std::vector<T>(kKept), head_ = 0;
  }
  void clear() {
    while (!empty()) pop();
  }

 private:
  static constexpr std::size_t kKept = 1024;  // slots that stay when a long queue has emptied

  void grow() {
    std::vector<T> bigger(slots_.empty() ? 16 : slots_.size() * 2);  // a power of two
    for (std::size_t i = 0; i < size_; ++i) {
      bigger[i] = std::move(slots_[(head_ + i) & (slots_.size() - 1)]);
    }
    slots_ = std::move(bigger);
    head_ = 0;
  }

  std::vector<T> slots_;
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

}  // namespace crossfade::postgres
