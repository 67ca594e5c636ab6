// A PATCH that takes traffic back to old says what clients lose by it.
#include "control/service/towards_old.h"

#include "../bench.h"

namespace crossfade {

namespace {

StrategySpec spec_from(std::string_view text) {
  auto spec = read_strategy(json(text), "strategy");
  REQUIRE_MESSAGE(spec.ok(), (spec.ok() ? "" : spec.error().message()));
  return *spec;
}

bool goes_back(std::string_view before, std::string_view after) {
  Migration migration;
  migration.status = MigrationStatus::Running;
  migration.spec.strategy = spec_from(before);
  MigrationSpec patched;
  patched.strategy = spec_from(after);
  return takes_back(migration, patched);
}

constexpr const char* kGreen = R"({"type":"blue_green","active_is_new":true})";
constexpr const char* kBlue = R"({"type":"blue_green","active_is_new":false})";
constexpr const char* kHalf = R"({"type":"canary","read_percentage":0.5})";
constexpr const char* kMost = R"({"type":"canary","read_percentage":0.8})";
constexpr const char* kAll = R"({"type":"canary","read_percentage":1})";

std::string shares(const char* reads, const char* writes) {
  return std::string(R"({"type":"canary","read_percentage":)") + reads +
         R"(,"write_mode":{"mode":"cutover","write_percentage":)" + writes + "}}";
}

std::string on_both(const char* policy) {
  return std::string(R"({"type":"canary","read_percentage":1,"write_mode":)") +
         R"({"mode":"dual_write","policy":")" + policy + R"("}})";
}

std::string rolling(const char* instances) {
  return std::string(R"({"type":"rolling_update","total_instances":3,"migrated_instances":)") +
         instances + "}";
}

std::string geographic(const char* regions) {
  return std::string(R"({"type":"geographic","regions":)") + regions + "}";
}

std::string by_flag(const char* flags, const char* rollout) {
  return std::string(R"({"type":"feature_flag","flags":)") + flags + R"(,"rollout_percentage":)" +
         rollout + "}";
}

}  // namespace

TEST_CASE("towards old: what is taken away from new is seen, whatever it goes by") {
  CHECK(goes_back(kGreen, kBlue));
  CHECK(goes_back(kGreen, kMost));
  CHECK(goes_back(kGreen, kShadow));
  CHECK(goes_back(kMost, kHalf));
  CHECK(goes_back(shares("0.8", "0.8"), shares("0.2", "0.2")));
  CHECK(goes_back(shares("0.8", "0.8"), shares("0.2", "0.8")));
  CHECK(goes_back(shares("0", "0.8"), shares("0", "0.2")));
  CHECK(goes_back(shares("0", "0.8"), kHalf));
  CHECK_FALSE(goes_back(kMost, shares("0.8", "0.8")));
  CHECK(goes_back(kMost, rolling("[]")));
  CHECK(goes_back(rolling(R"(["a","b"])"), rolling(R"(["b","c"])")));
  CHECK(goes_back(geographic(R"({"eu":true})"), geographic(R"({"eu":false})")));
  CHECK(goes_back(geographic(R"({"eu":true})"), rolling(R"(["a"])")));
  CHECK(goes_back(by_flag(R"({"a":true})", "0.5"), by_flag(R"({"a":true})", "0.4")));
  CHECK(goes_back(by_flag(R"({"a":true})", "0.5"), by_flag(R"({"a":false,"b":true})", "0.5")));
  CHECK(goes_back(kGreen, on_both("old_authoritative")));
}

TEST_CASE("towards old: what only adds to new, and what had nothing there alone, takes nothing") {
  CHECK_FALSE(goes_back(kBlue, kGreen));
  CHECK_FALSE(goes_back(kHalf, kMost));
  CHECK_FALSE(goes_back(kHalf, kGreen));
  CHECK_FALSE(goes_back(kShadow, kBlue));
  CHECK_FALSE(goes_back(shares("0.2", "0.2"), shares("0.8", "0.8")));
  CHECK_FALSE(goes_back(rolling(R"(["a"])"), rolling(R"(["b","a"])")));
  CHECK_FALSE(goes_back(rolling(R"(["a"])"), kAll));
  CHECK_FALSE(goes_back(rolling("[]"), kHalf));
  CHECK_FALSE(goes_back(geographic(R"({"eu":true})"), geographic(R"({"eu":true,"us":true})")));
  CHECK_FALSE(goes_back(by_flag(R"({"a":true})", "0.5"), by_flag(R"({"a":true})", "0.6")));
  CHECK_FALSE(goes_back(by_flag(R"({"a":false})", "0.5"), by_flag(R"({"a":false})", "0.4")));
  CHECK_FALSE(goes_back(kGreen, on_both("new_authoritative")));
  CHECK_FALSE(goes_back(on_both("old_authoritative"), kBlue));  // old has them, too
}

TEST_CASE("migrations: a PATCH that takes traffic back to old says how many writes stay on new") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", shares("0.2", "0.2"));
  bench.plane.count_new_only_writes("cache", 5);
  const Answer more = bench.patch_strategy("m", shares("0.8", "0.8"));
  CHECK(must(more).data.find("new_only_writes") == nullptr);
  bench.plane.count_new_only_writes("cache", 7);
  bench.plane.when_published = [&] { bench.plane.count_new_only_writes("cache", 8); };
  const Answer less = bench.patch_strategy("m", shares("0.2", "0.2"));
  bench.plane.when_published = nullptr;
  REQUIRE(must(less).data.find("new_only_writes") != nullptr);
  CHECK(*must(less).data.find("new_only_writes") == Json(std::uint64_t{8}));
  CHECK(*must(less).data.find("new_only_writes_exact") == Json(true));
  const std::string said =
      "; some of the traffic goes back to old: at least 7 writes went to new "
      "only and are not on old";
  const Answer events = bench.life->migrations.events("m", bench.call);
  const auto& journal = *must(events).data.elements();
  CHECK(text_of(journal.back(), "reason").ends_with(said));
  CHECK_FALSE(text_of(journal[journal.size() - 2], "reason").ends_with(said));
}

TEST_CASE("migrations: where no write went to new alone the journal says nothing of any") {
  Bench bench;
  bench.add_sides();
  bench.add_running("m", kGreen);
  const Answer answer = bench.patch_strategy("m", kBlue);
  CHECK(*must(answer).data.find("new_only_writes") == Json(std::uint64_t{0}));
  const Answer events = bench.life->migrations.events("m", bench.call);
  CHECK(text_of(must(events).data.elements()->back(), "reason").find("goes back") ==
        std::string::npos);
}

}  // namespace crossfade
