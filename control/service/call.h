// Who makes a control call, and how it asked.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace crossfade {

struct Call {
  std::string actor;          // name of the token
  std::string if_match;       // header; empty: unconditional
  bool verbose = false;       // X-Eden-Verbose: true, or ?verbose=true
  bool check = true;          // ?check=false: do not connect to what is defined
  bool force = false;         // ?force=true: although the test finds, or would find, fault
  std::uint64_t after = 0;    // ?after=N: events after that one
  std::uint32_t limit = 100;  // ?limit=N: at most so many of them
  std::uint64_t cursor = 0;   // ?cursor=N: what comes after that entry of the ledger
};

// True when the resource's ETag is one of those that If-Match names, or nothing is asked.
bool matches(const std::string& if_match, const std::string& etag);

}  // namespace crossfade
