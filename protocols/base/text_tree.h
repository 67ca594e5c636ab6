// A tree of texts, walked by a text that begins with some of them.
//
// What may be found costs as much as there are bytes at which held texts on its way part, however
// many are held. Bytes at which none part are not looked at: whoever walks compares what it is
// given. Immutable once built.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace crossfade {

class TextTree {
 public:
  using Held = std::pair<std::string, std::uint32_t>;  // a text, and what the caller calls it

  TextTree() = default;
  // Of texts that differ. Deepest recursion: the number of texts that begin with each other.
  explicit TextTree(std::vector<Held> held) {
    std::ranges::sort(held);
    if (!held.empty()) root_ = grow(held, 0, held.size(), 0);
  }

  // Calls visit(what the caller called it) for held texts that are no longer than the text, among
  // them all that it begins with, the shortest first.
  //   at   at(i) is byte i of the text, i < size
  template <class At, class Visit>
  void walk(std::size_t size, At&& at, Visit&& visit) const {
    for (std::uint32_t index = root_; index != kNone;) {
      const Node& node = nodes_[index];
      if (size < node.depth) return;
      if (node.held != kNone) visit(node.held);
      if (size == node.depth) return;
      const auto head = static_cast<unsigned char>(at(node.depth));
      const std::uint32_t place = std::uint32_t{head} - node.low;
      if (place >= node.span) return;
      index = targets_[node.first + place];
    }
  }

 private:
  static constexpr std::uint32_t kNone = UINT32_MAX;

  struct Node {
    std::uint32_t depth = 0;  // bytes that all texts behind it have in common
    std::uint32_t held = kNone;
    std::uint32_t first = 0;  // in targets_: of what goes on with the byte `low`, then `low` + 1, …
    std::uint16_t span = 0;
    std::uint8_t low = 0;
  };

  static unsigned char byte_of(const Held& held, std::size_t at) {
    return static_cast<unsigned char>(held.first[at]);
  }

  // The node of held[from, to), which agree in their first `done` bytes.
  std::uint32_t grow(const std::vector<Held>& held, std::size_t from, std::size_t to,
                     std::size_t done) {
    const std::string& low = held[from].first;
    const std::string& high = held[to - 1].first;
    while (done < low.size() && done < high.size() && low[done] == high[done]) ++done;
    const auto index = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
    Node node;
    node.depth = static_cast<std::uint32_t>(done);
    if (low.size() == done) node.held = held[from++].second;  // the shortest is sorted first
    if (from < to) {
      node.low = byte_of(held[from], done);
      node.span = static_cast<std::uint16_t>(byte_of(held[to - 1], done) - node.low + 1);
      node.first = static_cast<std::uint32_t>(targets_.size());
      targets_.resize(targets_.size() + node.span, kNone);
    }
    while (from < to) {
      const unsigned char head = byte_of(held[from], done);
      std::size_t end = from;
      while (end < to && byte_of(held[end], done) == head) ++end;
      const std::uint32_t child = grow(held, from, end, done + 1);
      targets_[node.first + head - node.low] = child;
      from = end;
    }
    nodes_[index] = node;
    return index;
  }

  std::vector<Node> nodes_;
  std::vector<std::uint32_t> targets_;
  std::uint32_t root_ = kNone;
};

}  // namespace crossfade
