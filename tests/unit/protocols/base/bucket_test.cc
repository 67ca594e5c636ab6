// The split's hash is a promise to every other sidecar.
#include "protocols/base/bucket.h"

#include <doctest/doctest.h>

#include <array>
#include <string>

namespace crossfade {
namespace {

TEST_CASE("bucket: the same bytes have the same bucket in every release") {
  // XXH3 of the empty string is 0x2d06800538d394c2 by its own documentation.
  CHECK(bucket_of("") == (std::uint64_t{0x2d068005} * kWhole) >> 32);
  CHECK(bucket_of("key:000000000001") == 57'828);
  CHECK(bucket_of("a") == 901'461);
  CHECK(bucket_of(std::string_view("\0\0", 2)) != bucket_of(std::string_view("\0", 1)));
}

TEST_CASE("bucket: lies between 0 and the whole, and keys spread evenly") {
  constexpr std::size_t kParts = 20;
  constexpr std::size_t kKeys = 200'000;
  std::array<std::size_t, kParts> keys{};
  for (std::size_t i = 0; i < kKeys; ++i) {
    const std::uint32_t bucket = bucket_of("user:" + std::to_string(i));
    REQUIRE(bucket < kWhole);
    ++keys[bucket / (kWhole / kParts)];
  }
  // Five standard deviations around the mean of a fair split.
  for (const std::size_t count : keys) {
    CHECK(count > kKeys / kParts - 500);
    CHECK(count < kKeys / kParts + 500);
  }
}

}  // namespace
}  // namespace crossfade
