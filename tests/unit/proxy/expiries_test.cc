// Expiries: what is known of them, how many, and at what cost.
#include "proxy/expiries.h"

#include <doctest/doctest.h>

#include <chrono>
#include <string>

namespace crossfade {

namespace {

constexpr std::uint64_t kNow = 1'700'000'000'000;  // Unix time, ms
constexpr std::uint64_t kAhead = kNow + 86'400'000;
constexpr std::uint64_t kLongOver = kNow - Expiries::kLingerMs - 1;

std::string key(std::uint64_t number) { return "key " + std::to_string(number); }

std::chrono::milliseconds time_of(auto&& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               began);
}

bool meets_now(Expiries& expiries, std::uint64_t number) {
  return expiries.meets(0, key(number), kNow, kNow);
}

}  // namespace

TEST_CASE("expiries: a write meets one within a second of it, and while it is under way") {
  Expiries expiries;
  CHECK_FALSE(expiries.any());
  CHECK(expiries.set(0, key(1), kNow, kNow - 10'000));
  CHECK(expiries.any());
  CHECK_FALSE(expiries.meets(0, key(2), kNow, kNow));
  CHECK_FALSE(expiries.meets(0, key(1), kNow - 9'000, kNow - Expiries::kMarginMs - 1));
  CHECK(expiries.meets(0, key(1), kNow - 9'000, kNow - Expiries::kMarginMs));
  CHECK(expiries.meets(0, key(1), kNow - 9'000, kNow + 30'000));
  CHECK(expiries.meets(0, key(1), kNow + Expiries::kMarginMs, kNow + 30'000));
  CHECK_FALSE(expiries.meets(0, key(1), kNow + Expiries::kMarginMs + 1, kNow + 30'000));
  CHECK_FALSE(expiries.any());
}

TEST_CASE("expiries: at the bound a known key is updated, and a new one is refused") {
  Expiries expiries(100);
  for (std::uint64_t i = 0; i < 100; ++i) CHECK(expiries.set(0, key(i), kAhead, kNow));
  for (std::uint64_t i = 100; i < 10'000; ++i) CHECK_FALSE(expiries.set(0, key(i), kNow, kNow));
  CHECK(expiries.count() == 100);
  for (std::uint64_t i = 0; i < 100; ++i) {
    CHECK_FALSE(meets_now(expiries, i));
    CHECK(expiries.set(0, key(i), kNow, kNow));
    CHECK(meets_now(expiries, i));
  }
  CHECK(expiries.count() == 100);
}

TEST_CASE("expiries: at the bound those that are over make room") {
  Expiries expiries(10'000);
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    CHECK(expiries.set(0, key(i), i % 10 == 0 ? kNow : kAhead, kNow));
  }
  const std::uint64_t later = kNow + Expiries::kMarginMs + 1;
  std::uint64_t accepted = 0;
  for (std::uint64_t i = 10'000; i < 20'000; ++i)
    accepted += expiries.set(0, key(i), kAhead, later);
  CHECK(accepted == 1'000);
  CHECK(expiries.count() == 10'000);
  CHECK_FALSE(expiries.set(0, key(20'000), kAhead, later));
}

TEST_CASE("expiries: below the bound what is long over goes by itself") {
  Expiries expiries;
  for (std::uint64_t i = 0; i < 100'000; ++i) CHECK(expiries.set(0, key(i), kLongOver, kNow));
  CHECK(expiries.count() < 50'000);
  for (std::uint64_t i = 0; i < 100'000; ++i)
    CHECK(expiries.set(0, key(1'000'000 + i), kAhead, kNow));
  CHECK(expiries.count() == 100'000);
}

TEST_CASE("expiries: one that has just passed is kept for the write that is under way") {
  Expiries expiries;
  CHECK(expiries.set(0, key(0), kNow, kNow));
  const std::uint64_t later = kNow + Expiries::kLingerMs;
  for (std::uint64_t i = 1; i < 10'000; ++i) CHECK(expiries.set(0, key(i), kAhead, later));
  CHECK(expiries.meets(0, key(0), kNow, later));
}

TEST_CASE("expiries: what is seen by the way replaces nothing that may be newer, and leaves room") {
  Expiries expiries(100);
  CHECK(expiries.set(0, key(0), kAhead, kNow));
  CHECK(expiries.see(0, key(0), kNow, kNow));
  CHECK(expiries.of(0, key(0)) == kAhead);
  CHECK(expiries.set(0, key(0), kNow - Expiries::kMarginMs - 1, kNow));
  CHECK(expiries.see(0, key(0), kAhead, kNow));
  CHECK(expiries.of(0, key(0)) == kAhead);
  for (std::uint64_t i = 1; i < 50; ++i) CHECK(expiries.see(0, key(i), kAhead, kNow));
  CHECK_FALSE(expiries.see(0, key(50), kAhead, kNow));
  CHECK(expiries.see(0, key(49), kAhead, kNow));
  for (std::uint64_t i = 50; i < 100; ++i) CHECK(expiries.set(0, key(i), kAhead, kNow));
  CHECK_FALSE(expiries.set(0, key(100), kAhead, kNow));
}

TEST_CASE("expiries: databases that change places take along what is known, and what comes later") {
  Expiries expiries;
  CHECK(expiries.set(1, key(1), kAhead + 1, kNow));
  CHECK(expiries.set(2, key(1), kAhead + 2, kNow));
  CHECK(expiries.set(3, key(1), kAhead + 3, kNow));
  expiries.swap(1, 2);
  CHECK(expiries.of(1, key(1)) == kAhead + 2);
  CHECK(expiries.of(2, key(1)) == kAhead + 1);
  CHECK(expiries.set(1, key(2), kAhead, kNow));
  expiries.swap(3, 1);
  CHECK(expiries.of(1, key(1)) == kAhead + 3);
  CHECK(expiries.of(3, key(1)) == kAhead + 2);
  CHECK(expiries.of(3, key(2)) == kAhead);
  CHECK_FALSE(expiries.of(1, key(2)));
  CHECK(expiries.meets(3, key(2), kAhead, kAhead));
  expiries.swap(2, 2);
  CHECK(expiries.of(2, key(1)) == kAhead + 1);
}

TEST_CASE("expiries: a full table costs as little as an empty one") {
  constexpr std::chrono::milliseconds kLimit{5'000};  // seen: some 10 ms; a whole sweep: minutes
  Expiries expiries;
  for (std::uint64_t i = 0; i < Expiries::kKeysMax; ++i) {
    REQUIRE(expiries.set(0, key(i), kAhead, kNow));
  }
  CHECK(time_of([&] {
          for (std::uint64_t i = 0; i < 10'000; ++i) REQUIRE(expiries.set(0, key(i), kAhead, kNow));
        }) < kLimit);
  CHECK(time_of([&] {
          for (std::uint64_t i = 0; i < 10'000; ++i) {
            REQUIRE_FALSE(expiries.set(0, key(Expiries::kKeysMax + i), kAhead, kNow));
          }
        }) < kLimit);
}

}  // namespace crossfade
