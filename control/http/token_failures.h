// How often each address may call without a right token.
//
// What is counted are failures only: whoever shows a right token is never kept out by those of
// others behind the same address. An address of IPv6 counts with its /64, which one machine may
// have whole. At most peers_max addresses are remembered; the one that failed longest ago is
// forgotten. Any number of threads.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

#include "control/http/allowance.h"

namespace crossfade {

struct TokenFailureLimits {
  Rate rate{.at_once = 20, .per_minute = 10};  // of one address
  std::uint32_t peers_max = 4096;              // addresses
};

// Since the process began.
struct TokenFailureCounts {
  std::uint64_t failed = 0;   // calls without a right token
  std::uint64_t refused = 0;  // of those: beyond what their address may
};

class TokenFailures {
 public:
  explicit TokenFailures(TokenFailureLimits limits) : limits_(limits) {}

  // Counts a call of `peer`, an address as text, that showed no right token. Nothing: it may be
  // told so. Otherwise it has failed too often, and this is how long it has to wait: at least 1 s.
  std::optional<std::chrono::seconds> fail(const std::string& peer,
                                           Allowance::Clock::time_point now);

  TokenFailureCounts counts() const;
  std::size_t peers() const;

 private:
  struct Peer {
    std::string network;
    Allowance allowance;
  };

  Allowance& allowance_of(const std::string& network);

  const TokenFailureLimits limits_;
  mutable std::mutex mutex_;  // guards what follows
  std::list<Peer> peers_;     // who failed last comes first
  std::unordered_map<std::string, std::list<Peer>::iterator> places_;
  TokenFailureCounts counts_;
};

// What an address counts as: of IPv6 the first 64 bits, else itself. "::ffff:1.2.3.4" is 1.2.3.4.
std::string network_of(const std::string& peer);

}  // namespace crossfade
