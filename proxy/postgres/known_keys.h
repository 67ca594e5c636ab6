// SCRAM keys of passwords that have logged in: deriving them anew costs a loop 1 to 2 ms per login.
//
// Belongs to a loop. Holds no password, but keys that are as good as one: nothing prints them.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string_view>

#include "protocols/postgres/scram_keys.h"

namespace crossfade::postgres {

inline constexpr std::size_t kKnownKeysMax = 1024;  // users of endpoints, per loop

class KnownKeys {
 public:
  // Nothing: not seen yet. Keys of another salt than the server's do no harm: they are derived anew
  // then.
  std::optional<ScramKeys> find(std::string_view endpoint, std::string_view user,
                                std::string_view password) const;
  // Once all places are taken the others are forgotten, and come again with their next logins.
  void remember(std::string_view endpoint, std::string_view user, std::string_view password,
                const ScramKeys& keys);

 private:
  std::map<ScramKey, ScramKeys> keys_;  // by a hash of all three
};

}  // namespace crossfade::postgres
