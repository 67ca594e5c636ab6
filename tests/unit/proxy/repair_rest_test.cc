// A rest of repair: who relies on it, and who must wait for them.
#include "proxy/repair_rest.h"

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "proxy/known_suspects.h"

namespace crossfade {
namespace {
using std::chrono::milliseconds;
}

TEST_CASE("rest: writes may rely on the period that is on, and on no other") {
  RepairRest rest;
  const auto lane = std::make_shared<RepairRest::Lane>();
  rest.join(lane);
  CHECK(rest.period() == 0);
  CHECK_FALSE(rest.enter(*lane, 1));
  rest.begin();
  const std::uint64_t first = rest.period();
  REQUIRE(first != 0);
  rest.begin();
  CHECK(rest.period() == first);  // it goes on
  CHECK(rest.enter(*lane, first));
  lane->leave(1);
  CHECK(rest.end(milliseconds(0)));
  CHECK_FALSE(rest.enter(*lane, first));
  rest.begin();
  CHECK(rest.period() != first);
  CHECK_FALSE(rest.enter(*lane, first));  // what was known then may have been repaired
  CHECK(rest.end(milliseconds(0)));
}

TEST_CASE("rest: its end waits for who relies on it, for so long") {
  RepairRest rest;
  const auto lane = std::make_shared<RepairRest::Lane>();
  rest.join(lane);
  rest.begin();
  REQUIRE(rest.enter(*lane, rest.period()));
  REQUIRE(rest.enter(*lane, rest.period()));
  CHECK_FALSE(rest.end(milliseconds(5)));
  CHECK(rest.period() == 0);  // nobody new relies on it
  std::thread over([&] { lane->leave(2); });
  CHECK(rest.end(milliseconds(20'000)));
  over.join();
}

TEST_CASE("rest: where it is forbidden none begins") {
  RepairRest rest;
  rest.begin();
  CHECK(rest.forbid(milliseconds(0)));
  CHECK(rest.forbid(milliseconds(0)));
  rest.begin();
  CHECK(rest.period() == 0);
  rest.allow();
  rest.begin();
  CHECK(rest.period() == 0);
  rest.allow();
  rest.begin();
  CHECK(rest.period() != 0);
}

TEST_CASE(
    "rest: no write that relies on it is in flight while repair works, whatever the threads") {
  constexpr std::size_t kLoops = 3;
  constexpr int kRests = 300;
  RepairRest rest;
  std::atomic<bool> repairs{false};
  std::atomic<bool> over{false};
  std::atomic<bool> broken{false};
  std::atomic<std::uint64_t> relied{0};
  std::vector<std::thread> loops;
  for (std::size_t i = 0; i < kLoops; ++i) {
    loops.emplace_back([&] {
      const auto lane = std::make_shared<RepairRest::Lane>();
      rest.join(lane);
      while (!over) {
        const std::uint64_t period = rest.period();
        if (period == 0 || !rest.enter(*lane, period)) continue;
        if (repairs) broken = true;
        ++relied;
        if (repairs) broken = true;
        lane->leave(1);
      }
    });
  }
  for (int i = 0; i < kRests || relied < kRests; ++i) {
    rest.begin();
    std::this_thread::yield();
    if (!rest.end(milliseconds(20'000))) broken = true;
    repairs = true;
    std::this_thread::yield();
    repairs = false;
  }
  over = true;
  for (std::thread& loop : loops) loop.join();
  CHECK_FALSE(broken);
}

TEST_CASE("known suspects: keys by database, long and short, up to the bound") {
  KeySet keys;
  CHECK_FALSE(keys.has(0, "a"));
  const std::string long_key(500, 'l');
  for (const std::string& key : {std::string("a"), std::string(), long_key, std::string(44, 's')}) {
    CAPTURE(key);
    keys.add(0, key);
    CHECK(keys.has(0, key));
    CHECK_FALSE(keys.has(1, key));
    CHECK_FALSE(keys.has(0, key + "x"));
  }
  CHECK_FALSE(keys.has(0, std::string(499, 'l') + 'L'));
  for (std::size_t i = 0; i < KeySet::kKeysMax; ++i) keys.add(2, std::to_string(i));
  for (std::size_t i = 0; i + 4 < KeySet::kKeysMax; ++i) REQUIRE(keys.has(2, std::to_string(i)));
  CHECK_FALSE(keys.has(2, std::to_string(KeySet::kKeysMax - 1)));  // there was no room any more
  CHECK(keys.has(0, long_key));
  keys.clear();
  CHECK(keys.empty());
  CHECK_FALSE(keys.has(0, "a"));
}

TEST_CASE("known suspects: what was learned in one rest is not known in the next") {
  const auto rest = std::make_shared<RepairRest>();
  KnownSuspects known;
  known.follow(rest);
  known.learn(known.period(), Side::Old, 0, "k");  // nobody rests
  CHECK_FALSE(known.any(Side::Old));
  rest->begin();
  known.learn(known.period(), Side::Old, 0, "k");
  CHECK(known.any(Side::Old));
  CHECK_FALSE(known.any(Side::New));
  CHECK(known.has(0, "k"));
  CHECK(known.rely());
  CHECK_FALSE(rest->end(milliseconds(0)));
  CHECK_FALSE(known.any(Side::Old));
  CHECK_FALSE(known.rely());
  known.over(1);
  CHECK(rest->end(milliseconds(0)));
  rest->begin();
  CHECK_FALSE(known.any(Side::Old));
  known.learn(known.period() - 1, Side::Old, 0, "k");  // found before that rest began
  CHECK_FALSE(known.any(Side::Old));
  known.learn(known.period(), Side::Old, 0, "another");
  CHECK(known.has(0, "another"));
  CHECK_FALSE(known.has(0, "k"));
  known.follow(std::make_shared<RepairRest>());  // other servers
  CHECK_FALSE(known.any(Side::Old));
}

}  // namespace crossfade
