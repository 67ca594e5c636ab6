// Strangler fig and feature flag: who is on new, for every sort of request, and what stays.
#include <doctest/doctest.h>

#include "strategies/as_canary.h"
#include "strategies/one_side.h"
#include "tests/unit/strategies/grid.h"

namespace crossfade {
namespace {

using namespace grid;

Facts called_by(Facts facts, std::uint32_t bucket) {
  facts.caller_bucket = bucket;
  return facts;
}

std::vector<std::optional<WriteMode>> write_modes() {
  std::vector<std::optional<WriteMode>> all{std::nullopt};
  for (const Policy policy : kPolicies) {
    all.push_back(WriteMode{WriteMode::Mode::DualWrite, policy, 0});
  }
  for (const std::uint32_t share : kShares) {
    all.push_back(WriteMode{WriteMode::Mode::Cutover, Policy::OldAuthoritative, share});
  }
  return all;
}

// Old has all that is written.
std::vector<WriteMode> complete_modes() {
  return {{WriteMode::Mode::DualWrite, Policy::OldAuthoritative, 0},
          {WriteMode::Mode::DualWrite, Policy::BestEffort, 0},
          {WriteMode::Mode::Cutover, Policy::OldAuthoritative, 0}};
}

TEST_CASE("strangler_fig: what belongs to an api that has gone goes as if all of it had") {
  for (const auto& mode : write_modes()) {
    const StranglerFig fig{mode};
    const Canary whole{.read_share = kWhole, .write_mode = mode};
    for (const Facts& request : requests()) {
      CHECK(plan(fig, request) == plan_canary(whole, request));
      if (mode) CHECK(plan(fig, request) == plan(BlueGreen{true, mode}, request));
    }
    CHECK(home(fig) == home(whole));
    CHECK(splits_writes(fig) == splits_writes(whole));
    CHECK(dual_write_authority(fig) == dual_write_authority(whole));
    CHECK(split_by(fig) == SplitBy::Key);
  }
}

TEST_CASE("strangler_fig: the reads of apis that have gone are new's, all others are old's") {
  for (const WriteMode& mode : complete_modes()) {
    const StranglerFig fig{mode};
    for (const Facts& request : requests()) {
      if (request.kind != Kind::Read) continue;
      const Side pinned_or_old = request.pinned.value_or(Side::Old);
      CHECK(plan(fig, staying(request)) == Plan{.answer = pinned_or_old});
      if (request.pinned || request.sided || !request.keyed) {
        CHECK(plan(fig, request).answer == pinned_or_old);
      } else {
        CHECK(plan(fig, request).answer == Side::New);
      }
    }
    CHECK(home(fig) == Side::Old);
  }
}

TEST_CASE("strangler_fig: a write goes to both sides, of whatever api") {
  for (const Policy policy : {Policy::OldAuthoritative, Policy::BestEffort}) {
    const StranglerFig fig{WriteMode{WriteMode::Mode::DualWrite, policy, 0}};
    for (const Facts& request : requests()) {
      if (request.kind != Kind::Write || request.sided || request.pinned) continue;
      CHECK(plan(fig, request) == plan_dual_write(policy));
      CHECK(plan(fig, staying(request)) == plan_dual_write(policy));
    }
  }
}

TEST_CASE("feature_flag: by key it is the canary of its rollout, by users that of the same split") {
  for (const auto& mode : write_modes()) {
    for (const std::uint32_t share : kShares) {
      const FeatureFlag by_key{.rollout_share = share, .write_mode = mode};
      const Canary canary{.read_share = share, .write_mode = mode};
      for (const Facts& request : requests()) {
        CHECK(plan(by_key, request) == plan_canary(canary, request));
      }
      CHECK(home(by_key) == home(canary));
      CHECK(splits_writes(by_key) == splits_writes(canary));
      CHECK(dual_write_authority(by_key) == dual_write_authority(canary));
      if (splits_writes(canary)) continue;  // refused by control
      const FeatureFlag by_user{
          .rollout_share = share, .write_mode = mode, .split_by = SplitBy::User};
      const Canary users{.read_share = share, .write_mode = mode, .split_by = SplitBy::User};
      for (const Facts& request : requests()) {
        const Facts asked = called_by(request, kWhole / 2);
        CHECK(plan(by_user, asked) == plan_canary(users, asked));
      }
      CHECK(split_by(by_user) == SplitBy::User);
      CHECK(home(by_user) == home(canary));
    }
  }
}

TEST_CASE("feature_flag: a user under the rollout reads from new, one above it from old") {
  for (const WriteMode& mode : complete_modes()) {
    for (const std::uint32_t share : kShares) {
      const FeatureFlag by_user{share, mode, SplitBy::User};
      const FeatureFlag by_key{share, mode, SplitBy::Key};
      for (const std::uint32_t bucket : kBuckets) {
        const Side side = bucket < share ? Side::New : Side::Old;
        for (const std::uint32_t key : kBuckets) {
          const Facts read = called_by(on_key(Kind::Read, key), bucket);
          CHECK(plan(by_user, read).answer == side);
          CHECK(plan(by_user, staying(read)).answer == Side::Old);
          for (const Side pin : {Side::Old, Side::New}) {
            CHECK(plan(by_user, pinned(read, pin)).answer == pin);
          }
        }
        CHECK(plan(by_key, on_key(Kind::Read, bucket)).answer == side);
        CHECK(plan(by_key, staying(on_key(Kind::Read, bucket))).answer == Side::Old);
      }
    }
  }
}

TEST_CASE("feature_flag: raising the rollout only adds users, nobody is 0 and everybody is 1") {
  for (const SplitBy split : {SplitBy::Key, SplitBy::User}) {
    for (const WriteMode& mode : complete_modes()) {
      for (const std::uint32_t bucket : kBuckets) {
        const Facts read = called_by(on_key(Kind::Read, bucket), bucket);
        bool before = false;
        for (const std::uint32_t share : kShares) {
          const bool on_new = plan(FeatureFlag{share, mode, split}, read).answer == Side::New;
          CHECK((on_new || !before));
          before = on_new;
        }
        CHECK(plan(FeatureFlag{0, mode, split}, read).answer == Side::Old);
        CHECK(plan(FeatureFlag{kWhole, mode, split}, read).answer == Side::New);
      }
    }
  }
}

TEST_CASE("flags: where writes of apis move each is the canary of a part of the keys") {
  for (const auto& mode : write_modes()) {
    if (mode && mode->mode == WriteMode::Mode::DualWrite) continue;
    CHECK(of_part(StranglerFig{mode}) ==
          Canary{.read_share = kWhole, .write_mode = mode, .part = true});
    for (const SplitBy split : {SplitBy::Key, SplitBy::User}) {
      for (const std::uint32_t share : kShares) {
        CHECK(of_part(FeatureFlag{share, mode, split}) ==
              Canary{.read_share = share, .write_mode = mode, .part = true});
      }
    }
  }
}

TEST_CASE("feature_flag: without a write mode a user's reads and writes are on one side") {
  for (const std::uint32_t share : kShares) {
    const FeatureFlag flag{.rollout_share = share};
    for (const std::uint32_t bucket : kBuckets) {
      const Plan read = plan(flag, on_key(Kind::Read, bucket));
      CHECK(read == plan(flag, on_key(Kind::Write, bucket)));
      CHECK(read == Plan{.answer = bucket < share ? Side::New : Side::Old});
    }
  }
}

}  // namespace
}  // namespace crossfade
