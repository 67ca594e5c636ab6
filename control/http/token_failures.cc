// Addresses, the last one to fail in front.
#include "control/http/token_failures.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace crossfade {

std::optional<std::chrono::seconds> TokenFailures::fail(const std::string& peer,
                                                        Allowance::Clock::time_point now) {
  const std::lock_guard held(mutex_);
  ++counts_.failed;
  Allowance& allowance = allowance_of(network_of(peer));
  if (allowance.take(limits_.rate, now)) return std::nullopt;
  ++counts_.refused;
  return std::max(std::chrono::ceil<std::chrono::seconds>(allowance.wait(limits_.rate, now)),
                  std::chrono::seconds(1));
}

TokenFailureCounts TokenFailures::counts() const {
  const std::lock_guard held(mutex_);
  return counts_;
}

std::size_t TokenFailures::peers() const {
  const std::lock_guard held(mutex_);
  return peers_.size();
}

Allowance& TokenFailures::allowance_of(const std::string& network) {
  if (const auto found = places_.find(network); found != places_.end()) {
    peers_.splice(peers_.begin(), peers_, found->second);
    return peers_.front().allowance;
  }
  if (peers_.size() >= limits_.peers_max) {
    places_.erase(peers_.back().network);
    peers_.pop_back();
  }
  peers_.push_front({.network = network, .allowance = {}});
  places_[network] = peers_.begin();
  return peers_.front().allowance;
}

std::string network_of(const std::string& peer) {
  in6_addr address{};
  // A scope ("fe80::1%eth0") is one of this machine's interfaces.
  if (::inet_pton(AF_INET6, peer.substr(0, peer.find('%')).c_str(), &address) != 1) return peer;
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    ::inet_ntop(AF_INET, address.s6_addr + 12, text.data(), text.size());
    return text.data();
  }
  std::memset(address.s6_addr + 8, 0, 8);
  ::inet_ntop(AF_INET6, &address, text.data(), text.size());
  return std::string(text.data()) + "/64";
}

}  // namespace crossfade
