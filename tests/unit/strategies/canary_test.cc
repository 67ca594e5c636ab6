// Canary: every case of the class comment, over the whole grid of shares, buckets, pins and
// policies.
#include <doctest/doctest.h>

#include <algorithm>

#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

Side read_side(const Canary& canary, std::uint32_t bucket) {
  return plan_canary(canary, on_key(Kind::Read, bucket)).answer;
}
Side write_side(const Canary& canary, std::uint32_t bucket) {
  return plan_canary(canary, on_key(Kind::Write, bucket)).answer;
}

// The share of keys whose writes are on new alone.
std::uint32_t moved_share(const Canary& canary) {
  if (!canary.write_mode) return canary.read_share;
  return canary.write_mode->mode == WriteMode::Mode::Cutover ? canary.write_mode->write_share : 0;
}

TEST_CASE("canary: a share of n is exactly n of a million buckets, the lowest ones") {
  for (const std::uint32_t share : {0u, 1u, 50'000u, 999'999u, kWhole}) {
    const Canary dual = dual_write(share, Policy::OldAuthoritative);
    const Canary follows{share, std::nullopt};
    std::uint32_t dual_reads = 0, reads = 0, writes = 0;
    bool lowest = true;
    for (std::uint32_t bucket = 0; bucket < kWhole; ++bucket) {
      dual_reads += read_side(dual, bucket) == Side::New ? 1 : 0;
      reads += read_side(follows, bucket) == Side::New ? 1 : 0;
      writes += write_side(follows, bucket) == Side::New ? 1 : 0;
      lowest &= (read_side(dual, bucket) == Side::New) == (bucket < share);
    }
    CHECK(dual_reads == share);
    CHECK(reads == share);
    CHECK(writes == share);
    CHECK(lowest);
  }
}

TEST_CASE("canary: split by who asks, a read goes by that one's bucket, and writes as before") {
  for (const SplitBy by : {SplitBy::User, SplitBy::Session, SplitBy::Request}) {
    for (Canary canary : canaries()) {
      if (splits_writes(canary)) continue;  // such a split is refused: each key has one history
      Canary by_key = canary;
      canary.split_by = by;
      CHECK(split_by(canary) == by);
      for (Facts request : requests()) {
        for (const std::uint32_t caller : kBuckets) {
          request.caller_bucket = caller;
          Facts as_key = request;
          if (request.kind == Kind::Read && request.keyed) {
            as_key.bucket_low = as_key.bucket_high = caller;
          }
          CHECK(plan_canary(canary, request) == plan_canary(by_key, as_key));
        }
      }
    }
  }
}

TEST_CASE("canary: raising a share never moves a key back") {
  for (const std::uint32_t bucket : kBuckets) {
    for (const std::uint32_t low : kShares) {
      for (const std::uint32_t high : kShares) {
        if (low > high) continue;
        for (const std::uint32_t fixed : kShares) {
          const auto stays = [&](const Canary& before, const Canary& after) {
            CHECK(
                (read_side(before, bucket) == Side::Old || read_side(after, bucket) == Side::New));
            CHECK((write_side(before, bucket) == Side::Old ||
                   write_side(after, bucket) == Side::New));
          };
          stays(cutover(low, fixed), cutover(high, fixed));
          stays(cutover(fixed, low), cutover(fixed, high));
        }
        for (const Policy policy : kPolicies) {
          const Side before = read_side(dual_write(low, policy), bucket);
          const Side after = read_side(dual_write(high, policy), bucket);
          CHECK((before == Side::Old || after == Side::New));
        }
      }
    }
  }
}

TEST_CASE("canary: a key whose writes moved is read from new, whatever the read share") {
  for (const Canary& canary : canaries()) {
    for (const std::uint32_t bucket : kBuckets) {
      if (bucket < moved_share(canary)) CHECK(read_side(canary, bucket) == Side::New);
    }
  }
}

TEST_CASE(
    "canary: cutover answers a request where all its keys are right, and refuses it elsewhere") {
  for (const Canary& canary : canaries()) {
    if (canary.write_mode && canary.write_mode->mode == WriteMode::Mode::DualWrite) continue;
    const std::uint32_t moved = moved_share(canary);
    for (const std::uint32_t low : kBuckets) {
      for (const std::uint32_t high : kBuckets) {
        if (low > high) continue;
        const Plan write = plan_canary(canary, on_keys(Kind::Write, low, high));
        const bool write_new = low < moved && high < moved;
        const bool write_old = low >= moved && high >= moved;
        CHECK(write.split == (!write_new && !write_old));
        if (!write.split) CHECK(write.answer == (write_new ? Side::New : Side::Old));
        CHECK(write.second == Second::Nothing);

        const Plan read = plan_canary(canary, on_keys(Kind::Read, low, high));
        const std::uint32_t fed = std::max(canary.read_share, moved);
        const bool new_right = low < fed && high < fed;
        const bool old_right = low >= moved && high >= moved;
        CHECK(read.split == (!new_right && !old_right));
        // Where both are right the operator asked for new.
        if (!read.split) CHECK(read.answer == (new_right ? Side::New : Side::Old));
        CHECK(read.second == Second::Nothing);
        CHECK_FALSE(read.fallback);
      }
    }
  }
}

TEST_CASE("canary: dual writes go to both sides by the policy, whatever their keys and the share") {
  for (const std::uint32_t share : kShares) {
    for (const Policy policy : kPolicies) {
      const Canary canary = dual_write(share, policy);
      const Plan expected = plan_dual_write(policy);
      CHECK(plan_canary(canary, keyless(Kind::Write)) == expected);
      for (const std::uint32_t low : kBuckets) {
        for (const std::uint32_t high : kBuckets) {
          if (low > high) continue;
          CHECK(plan_canary(canary, on_keys(Kind::Write, low, high)) == expected);
        }
      }
    }
  }
}

TEST_CASE("canary: while dual writing, a read goes to new when all its keys are below the share") {
  for (const std::uint32_t share : kShares) {
    for (const Policy policy : kPolicies) {
      const Canary canary = dual_write(share, policy);
      for (const std::uint32_t low : kBuckets) {
        for (const std::uint32_t high : kBuckets) {
          if (low > high) continue;
          const Plan read = plan_canary(canary, on_keys(Kind::Read, low, high));
          const bool on_new = low < share && high < share;
          CHECK(read.answer == (on_new ? Side::New : Side::Old));
          CHECK_FALSE(read.split);
          // Falling back is right only where old has every write.
          CHECK(read.fallback == (on_new && policy != Policy::NewAuthoritative));
        }
      }
    }
  }
}

TEST_CASE("canary: an open transaction keeps its side at any share") {
  for (const Canary& canary : canaries()) {
    for (const Side side : {Side::Old, Side::New}) {
      for (const Facts& request : requests()) {
        CHECK(plan_canary(canary, pinned(request, side)).answer == side);
      }
    }
  }
}

TEST_CASE("canary: a pinned write still reaches both sides while dual writing") {
  for (const Policy policy : kPolicies) {
    for (const Side side : {Side::Old, Side::New}) {
      const Plan plan = plan_canary(dual_write(0, policy), pinned(on_key(Kind::Write, 5), side));
      CHECK(plan.second == Second::Write);
      CHECK(plan.answer == side);
      CHECK(plan.either == (policy == Policy::BestEffort));
    }
  }
}

TEST_CASE(
    "canary: a pinned write that belongs to the other side of a split is refused, not hidden") {
  const Canary canary = cutover(0, 500'000);
  const auto plan_on = [&](Side side, std::uint32_t low, std::uint32_t high) {
    return plan_canary(canary, pinned(on_keys(Kind::Write, low, high), side));
  };
  CHECK(plan_on(Side::New, 0, 499'999) == Plan{.answer = Side::New});
  CHECK(plan_on(Side::Old, 500'000, kWhole - 1) == Plan{.answer = Side::Old});
  CHECK(plan_on(Side::Old, 0, 499'999) == Plan{.answer = Side::Old, .split = true});
  CHECK(plan_on(Side::New, 500'000, kWhole - 1) == Plan{.answer = Side::New, .split = true});
  CHECK(plan_on(Side::New, 499'999, 500'000) == Plan{.answer = Side::New, .split = true});
  // EXEC and its like have no keys.
  CHECK(plan_canary(canary, pinned(keyless(Kind::Write), Side::New)) == Plan{.answer = Side::New});
}

TEST_CASE("canary: what belongs to no key is answered at home and never doubled") {
  for (const Canary& canary : canaries()) {
    const Plan at_home{.answer = home(canary)};
    CHECK(plan_canary(canary, keyless(Kind::Read)) == at_home);
    CHECK(plan_canary(canary, keyless(Kind::Other)) == at_home);
    CHECK(plan_canary(canary, sided(keyless(Kind::Read))) == at_home);
    CHECK(plan_canary(canary, on_key(Kind::Other, 3)) == at_home);
  }
}

TEST_CASE("canary: a cursor of a key stays at home, unless home does not have the key's history") {
  for (const Canary& canary : canaries()) {
    for (const std::uint32_t bucket : kBuckets) {
      const Facts scan = sided(on_key(Kind::Read, bucket));
      const Plan plan = plan_canary(canary, scan);
      if (splits_writes(canary)) {
        CHECK(plan == plan_canary(canary, on_key(Kind::Read, bucket)));
      } else {
        CHECK(plan == Plan{.answer = home(canary)});
      }
    }
  }
}

TEST_CASE("canary: a write without keys reaches every side that serves writes") {
  for (const std::uint32_t read_share : kShares) {
    for (const std::uint32_t write_share : kShares) {
      const Plan plan = plan_canary(cutover(read_share, write_share), keyless(Kind::Write));
      if (write_share == 0) {
        CHECK(plan == Plan{.answer = Side::Old});
      } else if (write_share == kWhole) {
        CHECK(plan == Plan{.answer = Side::New});
      } else {
        CHECK(plan == Plan{.answer = Side::Old, .second = Second::Write});
      }
    }
  }
}

TEST_CASE("canary: home is new exactly when no keyed request is answered by old") {
  for (const Canary& canary : canaries()) {
    bool old_answers = false;
    for (const std::uint32_t bucket : kBuckets) {
      old_answers |= read_side(canary, bucket) == Side::Old;
      old_answers |= write_side(canary, bucket) == Side::Old;
    }
    CHECK(home(canary) == (old_answers ? Side::Old : Side::New));
  }
}

TEST_CASE(
    "canary: writes are split exactly when both sides answer some of them and get no others") {
  for (const Canary& canary : canaries()) {
    bool on_old = false, on_new = false, doubled = false;
    for (const std::uint32_t bucket : kBuckets) {
      const Plan plan = plan_canary(canary, on_key(Kind::Write, bucket));
      (plan.answer == Side::Old ? on_old : on_new) = true;
      doubled |= plan.second == Second::Write;
    }
    CHECK(splits_writes(canary) == (on_old && on_new && !doubled));
  }
}

TEST_CASE("canary: without a write mode writes follow reads") {
  for (const std::uint32_t share : kShares) {
    for (const Facts& request : requests()) {
      CHECK(plan_canary({share, std::nullopt}, request) ==
            plan_canary(cutover(share, share), request));
    }
  }
}

}  // namespace
}  // namespace crossfade
