// The samples of mismatches that an operator is shown: bounded, printable, and without values
// unless those may be shown.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "strategies/ports.h"

namespace crossfade {

inline constexpr std::size_t kSampleTextMax = 256;        // bytes shown of a key or a reply
inline constexpr std::size_t kSampleKeysMax = 16;         // keys shown of one request
inline constexpr std::size_t kSampledMigrationsMax = 64;  // the longest unheard-of makes room

// Printable ASCII, "\r", "\n", "\t", "\\" and "\xNN" for the rest; cut behind `max` bytes, which
// "..." then says.
std::string printable(std::string_view bytes, std::size_t max = kSampleTextMax);

// What stands for a value: its length and a hash, "<12 bytes, 9f3c5a01>".
std::string hidden_value(std::string_view value, std::uint64_t seed);

// A reply without its values: forms, counts, nulls and the first word of errors stay; every value
// becomes its length and a hash, "<12 bytes, 9f3c5a01>". Equal values have equal hashes, as long
// as the seed is the same.
//   seed  secret of the process: values that are short could be guessed from plain hashes
std::string redacted(std::string_view reply, std::uint64_t seed);

// What is shown of a pair. Its route is set.
MismatchSample sample_of(const Mismatch& mismatch, MismatchClass what, std::int64_t unix_seconds,
                         bool redact_values, std::uint64_t seed);

// By migration. One thread's; its owner locks.
class MismatchSamples {
 public:
  explicit MismatchSamples(std::uint32_t samples_max) : samples_max_(samples_max) {}

  // Beyond samples_max the oldest one makes room that is not Real, and else the oldest.
  void keep(const std::string& migration, MismatchSample sample);
  // Newest first.
  std::vector<MismatchSample> of(const std::string& migration) const;

 private:
  struct Kept {
    std::uint64_t touched = 0;           // grows
    std::deque<MismatchSample> samples;  // oldest first
  };
  Kept& kept_of(const std::string& migration);

  std::uint32_t samples_max_;
  std::uint64_t clock_ = 0;
  std::map<std::string, Kept> kept_;
};

}  // namespace crossfade
