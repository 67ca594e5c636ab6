// What is kept of a request and its two replies for as long as they may turn out to differ.
//
// Pairs live in a pool of the loop and keep their capacity: while replies agree, a steady load
// allocates nothing. Their bytes are bounded, each and all together; what does not fit is cut, and
// the pair says so.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocols/redis/command.h"
#include "strategies/mismatch.h"
#include "strategies/ports.h"

namespace crossfade {

// Where pairs that differ go, and how much is kept of them.
struct Comparison {
  CompareDoor door;  // empty: nothing is kept
  CompareSettings limits;
};

}  // namespace crossfade

namespace crossfade::redis {

struct KeptPair {
  InterlayRoutePtr route;             // by which it was planned
  const CommandSpec* spec = nullptr;  // of the route's commands; nullptr: nobody knows the command
  std::int32_t db = kDefaultDb;
  bool truncated = false;                   // a reply was longer than is kept
  std::string request;                      // whole, or empty
  std::array<std::string, kSides> replies;  // as far as they have come and are kept
};

class KeptPairs {
 public:
  explicit KeptPairs(const CompareSettings& limits) : limits_(limits) {}

  // Null: there is no room for one more.
  KeptPair* get() {
    if (free_.empty()) {
      if (taken_ + sizeof(KeptPair) > limits_.compare_kept_max) return nullptr;
      taken_ += sizeof(KeptPair);
      all_.push_back(std::make_unique<KeptPair>());
      free_.reserve(all_.size());
      free_.push_back(all_.back().get());
    }
    KeptPair* const pair = free_.back();
    free_.pop_back();
    return pair;
  }
  void put(KeptPair* pair) {
    pair->route.reset();
    pair->spec = nullptr;
    pair->truncated = false;
    pair->request.clear();
    for (std::string& reply : pair->replies) reply.clear();
    free_.push_back(pair);
  }

  void keep_request(KeptPair& pair, std::string_view bytes) {
    if (bytes.size() > limits_.compare_reply_max || !make_room(pair.request, bytes.size())) return;
    pair.request.assign(bytes);
  }
  void keep_reply(KeptPair& pair, Side side, std::string_view bytes) {
    std::string& reply = pair.replies[static_cast<std::size_t>(side)];
    const std::size_t room = limits_.compare_reply_max - reply.size();
    const std::string_view part = bytes.substr(0, room);
    if (part.size() < bytes.size()) pair.truncated = true;
    if (make_room(reply, reply.size() + part.size())) {
      reply.append(part);
    } else {
      pair.truncated = true;
    }
  }

 private:
  // Whether `bytes` may become so long; it then has the capacity for it.
  bool make_room(std::string& bytes, std::size_t size) {
    const std::size_t had = bytes.capacity();
    if (size <= had) return true;
    const std::size_t wanted = std::max(size, 2 * had);
    if (taken_ + (wanted - had) > limits_.compare_kept_max) return false;
    bytes.reserve(wanted);
    taken_ += bytes.capacity() - had;
    return true;
  }

  const CompareSettings limits_;
  std::size_t taken_ = 0;  // bytes, by all pairs
  std::vector<std::unique_ptr<KeptPair>> all_;
  std::vector<KeptPair*> free_;
};

}  // namespace crossfade::redis
