// The index of the ledger's book: what was added and not removed is found, whatever the hashes.
#include "control/ledger/hash_index.h"

#include <doctest/doctest.h>

#include <array>
#include <map>
#include <memory>
#include <random>

namespace crossfade {

namespace {

struct Numbered {
  int number;
};

// Few hashes, far apart: many nodes share one, and runs go around the end.
constexpr std::array<std::size_t, 6> kHashes = {0, 1, 15, 16, ~std::size_t{0}, 1u << 20};

}  // namespace

TEST_CASE("hash index: an empty one finds nothing") {
  const HashIndex<Numbered> index;
  CHECK(index.find(7, [](const Numbered&) { return true; }) == nullptr);
}

TEST_CASE("hash index: it finds what a map of the same nodes finds, through random changes") {
  constexpr int kNumbers = 200;
  constexpr int kChanges = 20'000;
  std::minstd_rand random(3);
  HashIndex<Numbered> index;
  std::map<int, std::unique_ptr<Numbered>> there;
  const auto hash_of = [](int number) {
    return kHashes[static_cast<std::size_t>(number) % kHashes.size()];
  };
  const auto find = [&](int number) {
    return index.find(hash_of(number), [&](const Numbered& one) { return one.number == number; });
  };
  for (int change = 0; change < kChanges; ++change) {
    const int number = static_cast<int>(random() % kNumbers);
    if (const auto found = there.find(number); found != there.end()) {
      REQUIRE(find(number) == found->second.get());
      index.remove(hash_of(number), found->second.get());
      there.erase(found);
    } else {
      REQUIRE(find(number) == nullptr);
      auto& node = there[number] = std::make_unique<Numbered>(Numbered{number});
      index.add(hash_of(number), node.get());
    }
  }
  for (int number = 0; number < kNumbers; ++number) {
    const auto found = there.find(number);
    CHECK(find(number) == (found == there.end() ? nullptr : found->second.get()));
  }
}

}  // namespace crossfade
