// Which keys of an endpoint move with their api: where the writes of an api go to new alone, its
// keys go with them, whatever a request does with them and whoever it belongs to.
//
// An api's keys are those that its templates name: of "SET user:{{id}} {{value}}" all that fit
// "user:{{id}}". The first template that names a key so has it, in the order in which they are
// asked: those that do not move stand here because they come before others that do. Immutable;
// shared by all loops. Redis.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "protocols/redis/key_patterns.h"
#include "strategies/api_set.h"

namespace crossfade {

class ApiKeys {
 public:
  //   entries  of those that move it is known which of their arguments are keys
  //   cost     some microseconds for each
  explicit ApiKeys(std::vector<ApiSet::Entry> entries);

  // Where a key lies on the line that is split: its own bucket, or kBeyond if it does not move.
  //   cost  no allocation
  std::uint32_t bucket(std::string_view key) const;

  const std::vector<ApiSet::Entry>& entries() const { return entries_; }

 private:
  struct Patterns {
    std::vector<redis::Template::Argument> of_keys;
    std::vector<bool> move;  // by the same numbers
  };
  explicit ApiKeys(std::vector<ApiSet::Entry> entries, Patterns patterns);
  static Patterns patterns_of(const std::vector<ApiSet::Entry>& entries);

  std::vector<ApiSet::Entry> entries_;
  redis::KeyPatterns patterns_;
  std::vector<bool> move_;  // by the numbers of patterns_
};

}  // namespace crossfade
