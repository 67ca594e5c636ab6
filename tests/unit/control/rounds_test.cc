// Rounds: one after the other, none behind the end, and no end waits for a pause.
#include "control/rounds.h"

#include <doctest/doctest.h>

#include <atomic>
#include <future>

namespace crossfade {

namespace {

using std::chrono::milliseconds;
constexpr milliseconds kNever = std::chrono::hours(1);
constexpr auto kLimit = std::chrono::seconds(20);

}  // namespace

TEST_CASE("rounds: the first one begins at once, the next ones follow, one at a time") {
  int done = 0;  // of one thread, as TSan sees
  std::promise<void> enough;
  Rounds rounds;
  rounds.start(milliseconds(0), [&] {
    if (++done == 100) enough.set_value();
  });
  REQUIRE(enough.get_future().wait_for(kLimit) == std::future_status::ready);
  CHECK(rounds.stop());
  CHECK(done >= 100);
}

TEST_CASE("rounds: an end waits for the round that is under way, for no pause, and none follows") {
  std::atomic<int> begun = 0;
  int done = 0;
  std::promise<void> inside;
  std::promise<void> may_end;
  Rounds rounds;
  rounds.start(kNever, [&] {
    if (++begun == 1) inside.set_value();
    may_end.get_future().wait();
    ++done;
  });
  REQUIRE(inside.get_future().wait_for(kLimit) == std::future_status::ready);
  auto ended = std::async(std::launch::async, [&] { return rounds.stop(); });
  CHECK(ended.wait_for(milliseconds(50)) == std::future_status::timeout);
  may_end.set_value();
  REQUIRE(ended.wait_for(kLimit) == std::future_status::ready);
  CHECK(ended.get());
  CHECK(done == 1);
  CHECK(begun == 1);
}

TEST_CASE("rounds: an end wakes who rests") {
  std::promise<void> first;
  Rounds rounds;
  rounds.start(kNever, [&] { first.set_value(); });
  REQUIRE(first.get_future().wait_for(kLimit) == std::future_status::ready);
  auto ended = std::async(std::launch::async, [&] { return rounds.stop(); });
  REQUIRE(ended.wait_for(kLimit) == std::future_status::ready);
  CHECK(ended.get());
}

TEST_CASE("rounds: what was not started, or has ended, is ended without a word") {
  Rounds never;
  CHECK_FALSE(never.stop());
  Rounds rounds;
  rounds.start(kNever, [] {});
  CHECK(rounds.stop());
  CHECK_FALSE(rounds.stop());
}

TEST_CASE("rounds: whoever lets them go ends them") {
  int done = 0;
  {
    Rounds rounds;
    rounds.start(milliseconds(0), [&] { ++done; });
  }
  CHECK(done >= 1);  // nobody writes it any more, as TSan sees
}

}  // namespace crossfade
