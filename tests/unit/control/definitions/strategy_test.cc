// Strategies: each as it is printed, what is refused with which words, and what they mean.
#include "control/definitions/strategy.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "control/json/write.h"
#include "reading.h"

namespace crossfade {

namespace {

std::string strategy_refusal(std::string_view strategy) {
  return refusal(read_strategy(json(strategy), "strategy"));
}

StrategySpec strategy(std::string_view text) {
  auto spec = read_strategy(json(text), "strategy");
  REQUIRE_MESSAGE(spec.ok(), text);
  return *spec;
}

std::string patched(std::string_view current, std::string_view given) {
  auto spec = patch_strategy(strategy(current), json(given), "strategy");
  return spec ? to_text(render(*spec)) : spec.error().reason;
}

}  // namespace

TEST_CASE("strategy: each of the guide's objects is read and shown as printed") {
  for (
      const char* text :
      {R"({"type":"big_bang","durability":true})", R"({"type":"big_bang","durability":false})",
       R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write","policy":"old_authoritative"}})",
       R"({"type":"canary","read_percentage":0.05})",
       R"({"type":"canary","read_percentage":0.5,"write_mode":{"mode":"dual_write","policy":"new_authoritative"}})",
       R"({"type":"canary","read_percentage":0.5,"write_mode":{"mode":"dual_write","policy":"best_effort"}})",
       R"({"type":"canary","read_percentage":1.0,"write_mode":{"mode":"cutover","write_percentage":1.0}})",
       R"({"type":"blue_green","active_is_new":false})", R"({"type":"shadow_traffic"})",
       R"({"type":"rolling_update","migrated_instances":[],"total_instances":5})",
       R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z","executed":false})",
       R"({"type":"geographic","regions":{"ap-southeast-1":false,"us-east-1":true}})",
       R"({"type":"strangler_fig","features":{"payments":false,"reporting":false,"user_auth":true}})",
       R"({"type":"feature_flag","flags":{"beta_features":false,"new_database":true},"rollout_percentage":0.25})",
       R"({"type":"rolling_update","migrated_instances":["instance-1","instance-2"],"total_instances":5})"}) {
    CAPTURE(text);
    CHECK(to_text(render(strategy(text))) == text);
  }
  CHECK(to_text(render(strategy("null"))) == R"({"type":"big_bang","durability":true})");
}

TEST_CASE("strategy: a type that is none gets the guide's words") {
  for (const char* text : {R"({"type":"teleport"})", R"({"type":"","flags":{}})",
                           R"({"type":"Strangler_fig","features":{}})"}) {
    CAPTURE(text);
    CHECK(strategy_refusal(text) == "Migration strategy not yet implemented");
  }
}

TEST_CASE("strangler_fig: features are names, each true or false; a PATCH gives all of them") {
  const auto refused = [](const std::string& features) {
    return strategy_refusal(R"({"type":"strangler_fig","features":)" + features + "}");
  };
  CHECK(strategy_refusal(R"({"type":"strangler_fig"})") == "strategy.features: is required");
  CHECK(refused("[]") == "strategy.features: must be an object of features, each true or false");
  CHECK(refused(R"({"a":1})") == "strategy.features.a: must be true or false");
  CHECK(refused(R"({"a":null})") == "strategy.features.a: must be true or false");
  CHECK(refused(R"({"":true})") == "strategy.features: must have names of 1 to 128 bytes");
  CHECK(refused("{\"" + std::string(129, 'a') + "\":true}") ==
        "strategy.features: must have names of 1 to 128 bytes");
  CHECK(refused("{\"" + std::string(128, 'a') + "\":true}") == "accepted");
  CHECK(refused("{}") == "accepted");
  std::string many;
  for (int i = 0; i <= 1000; ++i) {
    many += (many.empty() ? "\"" : ",\"") + std::to_string(i) + "\":true";
  }
  CHECK(refused("{" + many + "}") == "strategy.features: must have at most 1000 features");
  CHECK(strategy_refusal(R"({"type":"strangler_fig","features":{},"flags":{}})") ==
        "strategy.flags: is not a known field");
  CHECK(
      patched(R"({"type":"strangler_fig","features":{"a":true}})", R"({"features":{"b":false}})") ==
      R"({"type":"strangler_fig","features":{"b":false}})");
}

TEST_CASE("feature_flag: flags are names, each true or false, and have a share of users") {
  const auto refused = [](const std::string& members) {
    return strategy_refusal(R"({"type":"feature_flag")" + members + "}");
  };
  CHECK(refused("") == "strategy.flags: is required");
  CHECK(refused(R"(,"flags":{"a":true})") == "strategy.rollout_percentage: is required");
  CHECK(refused(R"(,"flags":"a","rollout_percentage":1)") ==
        "strategy.flags: must be an object of flags, each true or false");
  CHECK(refused(R"(,"flags":{"a":"yes"},"rollout_percentage":1)") ==
        "strategy.flags.a: must be true or false");
  CHECK(refused(R"(,"flags":{},"rollout_percentage":1.5)") ==
        "strategy.rollout_percentage: must be a number from 0 to 1");
  CHECK(refused(R"(,"flags":{},"rollout_percentage":0)") == "accepted");
  const std::string flag =
      R"({"type":"feature_flag","flags":{"a":true},"rollout_percentage":0.25})";
  CHECK(patched(flag, R"({"rollout_percentage":0.5})") ==
        R"({"type":"feature_flag","flags":{"a":true},"rollout_percentage":0.5})");
  CHECK(patched(flag, R"({"flags":{"b":true}})") ==
        R"({"type":"feature_flag","flags":{"b":true},"rollout_percentage":0.25})");
}

TEST_CASE("feature_flag: what is enabled has its share, and nothing enabled is nobody") {
  const auto rolled_out = [](const char* flags, const char* share) {
    return std::get<FeatureFlag>(
               to_strategy(strategy(R"({"type":"feature_flag","flags":)" + std::string(flags) +
                                    R"(,"rollout_percentage":)" + share + "}"),
                           {}))
        .rollout_share;
  };
  CHECK(rolled_out(R"({"a":true,"b":false})", "0.25") == 250'000);
  CHECK(rolled_out(R"({"a":true})", "1") == kWhole);
  CHECK(rolled_out(R"({"a":false})", "1") == 0);
  CHECK(rolled_out("{}", "1") == 0);
}

TEST_CASE("rolling_update: instances are names, each once, and no more than there are") {
  const auto refused = [](const std::string& members) {
    return strategy_refusal(R"({"type":"rolling_update",)" + members + "}");
  };
  CHECK(refused(R"("migrated_instances":[])") == "strategy.total_instances: is required");
  CHECK(refused(R"("total_instances":0)") ==
        "strategy.total_instances: must be a whole number from 1 to 10000");
  CHECK(refused(R"("total_instances":1,"migrated_instances":"a")") ==
        "strategy.migrated_instances: must be an array of instance ids");
  for (const char* one : {"7", R"("")", "null"}) {
    CHECK(refused(R"("total_instances":1,"migrated_instances":[)" + std::string(one) + "]") ==
          "strategy.migrated_instances: must hold instance ids, strings of 1 to 256 bytes");
  }
  CHECK(refused(R"("total_instances":3,"migrated_instances":["a","b","a"])") ==
        "strategy.migrated_instances: names an instance twice");
  CHECK(refused(R"("total_instances":1,"migrated_instances":["a","b"])") ==
        "strategy.migrated_instances: names more instances than total_instances");
  CHECK(refused(R"("total_instances":1)") == "accepted");
  CHECK(patched(R"({"type":"rolling_update","total_instances":2})",
                R"({"migrated_instances":["a"]})") ==
        R"({"type":"rolling_update","migrated_instances":["a"],"total_instances":2})");
}

TEST_CASE("rolling_update: it is the instance's own name that counts, and complete is everybody") {
  const auto rolling = [](std::vector<std::string> migrated, std::uint32_t total) {
    return StrategySpec(RollingUpdateSpec{std::move(migrated), total});
  };
  const auto here = [](const StrategySpec& spec, const char* instance) {
    return std::get<RollingUpdate>(to_strategy(spec, {.instance = instance})).here_migrated;
  };
  CHECK(here(rolling({"a", "b"}, 3), "b"));
  CHECK_FALSE(here(rolling({"a", "b"}, 3), "c"));
  CHECK_FALSE(here(rolling({"a", "b"}, 3), ""));
  const auto before_shard = [&](const StrategySpec& spec, const std::string& shard) {
    return std::get<RollingUpdate>(to_strategy(spec, {.instance = "a", .shard = shard}))
        .here_migrated;
  };
  CHECK(before_shard(rolling({"s1"}, 3), "s1"));
  CHECK_FALSE(before_shard(rolling({"s1"}, 3), "s2"));
  CHECK_FALSE(before_shard(rolling({"s1"}, 3), ""));
  CHECK(before_shard(rolling({"a"}, 3), "s2"));
  CHECK_FALSE(everything_on_new(rolling({"a"}, 2), {.instance = "a"}));
  CHECK(everything_on_new(rolling({"a", "b"}, 2), {.instance = "a"}));
  CHECK_FALSE(everything_on_new(rolling({"a", "b"}, 2), {.instance = "c"}));
}

TEST_CASE("geographic: regions are names, each true or false") {
  const auto refused = [](const std::string& regions) {
    return strategy_refusal(R"({"type":"geographic","regions":)" + regions + "}");
  };
  CHECK(strategy_refusal(R"({"type":"geographic"})") == "strategy.regions: is required");
  CHECK(refused("[]") == "strategy.regions: must be an object of regions, each true or false");
  CHECK(refused(R"({"a":1})") == "strategy.regions.a: must be true or false");
  CHECK(refused(R"({"":true})") == "strategy.regions: must have names of 1 to 128 bytes");
  CHECK(refused("{}") == "accepted");
  CHECK(patched(R"({"type":"geographic","regions":{"a":true}})", R"({"regions":{"b":false}})") ==
        R"({"type":"geographic","regions":{"b":false}})");
}

TEST_CASE("geographic: a region that is not listed has not gone; complete is everybody") {
  const StrategySpec some = strategy(R"({"type":"geographic","regions":{"a":true,"b":false}})");
  const auto gone = [&](const char* region) {
    return std::get<Geographic>(to_strategy(some, {.region = region})).region_migrated;
  };
  CHECK(gone("a"));
  CHECK_FALSE(gone("b"));
  CHECK_FALSE(gone("c"));
  CHECK_FALSE(gone(""));
  CHECK_FALSE(everything_on_new(some, {.region = "a"}));
  const StrategySpec all = strategy(R"({"type":"geographic","regions":{"a":true,"b":true}})");
  CHECK(everything_on_new(all, {.region = "a"}));
  CHECK_FALSE(everything_on_new(all, {.region = "c"}));
}

TEST_CASE("time_window: instants have an offset, and their order") {
  const auto refused = [](const std::string& start, const std::string& end) {
    return strategy_refusal(R"({"type":"time_window","window_start":")" + start +
                            R"(","window_end":")" + end + R"("})");
  };
  const std::string noon = "2024-01-15T12:00:00Z";
  CHECK(refused(noon, "2024-01-15T12:00:01Z") == "accepted");
  for (const std::string& end : {noon, std::string("2024-01-15T12:30:00+01:00")}) {
    CHECK(refused(noon, end) == "strategy.window_end: must be later than window_start");
  }
  CHECK(refused("noon", noon).find("strategy.window_start: must be a time with its offset") == 0);
  CHECK(strategy_refusal(R"({"type":"time_window","window_end":"2024-01-15T12:00:00Z"})") ==
        "strategy.window_start: is required");
  CHECK(
      patched(
          R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z","executed":true})",
          R"({"window_end":"2024-01-15T07:00:00+02:00"})") ==
      R"({"type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T05:00:00Z","executed":true})");
}

TEST_CASE("strategy: every one takes a write_mode, shows it, and loses it by null") {
  const std::string dual = R"("write_mode":{"mode":"dual_write","policy":"old_authoritative"})";
  for (
      const std::string members :
      {R"("type":"big_bang","durability":true)", R"("type":"blue_green","active_is_new":false)",
       R"("type":"canary","read_percentage":0.5)", R"("type":"shadow_traffic")",
       R"("type":"rolling_update","migrated_instances":[],"total_instances":1)",
       R"("type":"geographic","regions":{})", R"("type":"strangler_fig","features":{"a":true})",
       R"("type":"feature_flag","flags":{"a":true},"rollout_percentage":1.0)",
       R"("type":"time_window","window_start":"2024-01-15T02:00:00Z","window_end":"2024-01-15T04:00:00Z","executed":false)"}) {
    CAPTURE(members);
    const std::string with = "{" + members + "," + dual + "}";
    const StrategySpec spec = foreseen(strategy(with));
    CHECK(to_text(render(strategy(with))) == with);
    CHECK(dual_writes(spec));
    CHECK(authority_of(spec) == Side::Old);
    CHECK_FALSE(everything_on_new(spec, {}));
    CHECK(patched(with, R"({"write_mode":null})") == "{" + members + "}");
  }
  CHECK_FALSE(
      dual_writes(TimeWindowSpec{1, 2, false, WriteModeSpec{}}));  // nothing before it opens
}

TEST_CASE("strategy: reads that go to new where only a part of the writes does are objected to") {
  const WriteModeSpec half{.mode = WriteMode::Mode::Cutover, .write_percentage = 0.5};
  const std::vector<std::pair<StrategySpec, bool>> some{
      {BigBangSpec{.write_mode = half}, true},
      {BlueGreenSpec{true, half}, true},
      {BlueGreenSpec{false, half}, false},
      {RollingUpdateSpec{{"a"}, 2, half}, true},
      {RollingUpdateSpec{{}, 2, half}, false},
      {GeographicSpec{{{"eu", true}}, half}, true},
      {GeographicSpec{{{"eu", false}}, half}, false},
      {StranglerFigSpec{{{"a", true}}, half}, true},
      {StranglerFigSpec{{{"a", false}}, half}, false},
      {FeatureFlagSpec{{{"a", true}}, 0.6, half}, true},
      {FeatureFlagSpec{{{"a", true}}, 0.5, half}, false},
      {FeatureFlagSpec{{{"a", false}}, 1.0, half}, false},
      {TimeWindowSpec{1, 2, false, half}, true}};
  for (const auto& one : some) {
    CAPTURE(type_of(one.first));
    CHECK(history_objection(one.first).has_value() == one.second);
  }
}

TEST_CASE(
    "canary: a ramp has rising steps, none above what is written on new, and shows as given") {
  const auto canary = [](const std::string& more) {
    return R"({"type":"canary","read_percentage":0.05,)" + more + "}";
  };
  const auto ramp = [&](const std::string& steps, const char* hold = "60") {
    return canary(R"("ramp":{"steps":)" + steps + R"(,"hold_s":)" + hold + "}");
  };
  const std::string shown = R"({"type":"canary","read_percentage":0.05,"split_by":"user",)"
                            R"("ramp":{"steps":[0.25,0.5,1.0],"hold_s":60}})";
  CHECK(to_text(render(strategy(shown))) == shown);
  for (const char* steps :
       {"[]", "[0]", "[0.5,0.5]", "[0.5,0.25]", "[1.5]", "[\"a\"]", "1", "null"}) {
    CAPTURE(steps);
    CHECK(strategy_refusal(ramp(steps)) ==
          "strategy.ramp.steps: must be 1 to 100 shares above 0 and up to 1, each above the last");
  }
  CHECK(strategy_refusal(ramp("[1]", "0")).find("strategy.ramp.hold_s: must be a whole number") ==
        0);
  CHECK(strategy_refusal(canary(R"("ramp":{"steps":[1]})")) == "strategy.ramp.hold_s: is required");
  CHECK(
      strategy_refusal(
          canary(
              R"("write_mode":{"mode":"cutover","write_percentage":0.5},"ramp":{"steps":[0.5,0.6],"hold_s":1})"))
          .find("strategy.ramp: goes above write_mode.write_percentage") == 0);
}

TEST_CASE("strategy: what is wrong is named by its path") {
  CHECK(strategy_refusal(R"({"type":"canary"})") == "strategy.read_percentage: is required");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":1.5})") ==
        "strategy.read_percentage: must be a number from 0 to 1");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":"0.5"})") ==
        "strategy.read_percentage: must be a number from 0 to 1, is a string");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":0,"write_mode":{}})") ==
        "strategy.write_mode.mode: is required");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"x"}})") ==
        "strategy.write_mode.mode: must be dual_write or cutover");
  CHECK(
      strategy_refusal(
          R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"dual_write","policy":"mine"}})") ==
      "strategy.write_mode.policy: must be old_authoritative, new_authoritative or best_effort");
  CHECK(strategy_refusal(
            R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"cutover"}})") ==
        "strategy.write_mode.write_percentage: is required");
  CHECK(
      strategy_refusal(
          R"({"type":"canary","read_percentage":0,"write_mode":{"mode":"cutover","write_percentage":-1}})") ==
      "strategy.write_mode.write_percentage: must be a number from 0 to 1");
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":0,"percent":1})") ==
        "strategy.percent: is not a known field");
  CHECK(strategy_refusal(R"({"type":"blue_green","active_is_new":1})") ==
        "strategy.active_is_new: must be true or false, is a number");
  CHECK(strategy_refusal(R"({"type":"big_bang","durability":"yes"})") ==
        "strategy.durability: must be true or false, is a string");
  CHECK(strategy_refusal(R"({"read_percentage":0.5})") == "strategy.type: is required");
  CHECK(strategy_refusal(R"({"type":7})") == "strategy.type: must be a string, is a number");
  CHECK(strategy_refusal(R"("canary")") == "strategy: must be an object, is a string");
  for (const char* mode : {R"({"mode":"dual_write","policy":"new_authoritative"})",
                           R"({"mode":"dual_write","policy":"best_effort"})",
                           R"({"mode":"cutover","write_percentage":0})"}) {
    CHECK(strategy_refusal(R"({"type":"shadow_traffic","write_mode":)" + std::string(mode) + "}") ==
          "strategy.write_mode: must be dual_write with old_authoritative for shadow_traffic: old "
          "answers");
  }
  for (const char* name : {"split_by", "ramp"}) {
    CHECK(strategy_refusal(R"({"type":"blue_green",")" + std::string(name) + R"(":1})") ==
          "strategy." + std::string(name) + ": belongs to canary only");
  }
  CHECK(strategy_refusal(R"({"type":"canary","read_percentage":0,"split_by":"dice"})") ==
        "strategy.split_by: must be key, user, session or request");
}

TEST_CASE("strategy: a PATCH of the same type changes what it names and keeps the rest") {
  const char* canary =
      R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write","policy":"best_effort"}})";
  const std::string raised =
      R"({"type":"canary","read_percentage":0.25,"write_mode":{"mode":"dual_write","policy":"best_effort"}})";
  CHECK(patched(canary, R"({"read_percentage":0.25})") == raised);
  CHECK(patched(canary, R"({"type":"canary","read_percentage":0.25})") == raised);
  CHECK(
      patched(canary, R"({"write_mode":{"policy":"new_authoritative"}})") ==
      R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"dual_write","policy":"new_authoritative"}})");
  CHECK(
      patched(canary, R"({"write_mode":{"mode":"cutover","write_percentage":0.5}})") ==
      R"({"type":"canary","read_percentage":0.05,"write_mode":{"mode":"cutover","write_percentage":0.5}})");
  CHECK(patched(canary, R"({"write_mode":null})") == R"({"type":"canary","read_percentage":0.05})");
  CHECK(patched(R"({"type":"blue_green","active_is_new":false})", R"({"active_is_new":true})") ==
        R"({"type":"blue_green","active_is_new":true})");
}

TEST_CASE("strategy: what shadow traffic leaves out is shown when it does, and checked") {
  CHECK(patched(R"({"type":"shadow_traffic"})",
                R"({"shadow_writes":false,"sample_percentage":0.25})") ==
        R"({"type":"shadow_traffic","shadow_writes":false,"sample_percentage":0.25})");
  CHECK(patched(R"({"type":"shadow_traffic","shadow_writes":false})",
                R"({"shadow_writes":true})") == R"({"type":"shadow_traffic"})");
  CHECK(patched(R"({"type":"shadow_traffic"})", R"({"sample_percentage":1.5})") ==
        "strategy.sample_percentage: must be a number from 0 to 1");
}

TEST_CASE("strategy: a PATCH of another type replaces everything") {
  CHECK(patched(R"({"type":"canary","read_percentage":0.05})", R"({"type":"shadow_traffic"})") ==
        R"({"type":"shadow_traffic"})");
  CHECK(patched(R"({"type":"shadow_traffic"})", R"({"read_percentage":0.5})") ==
        "strategy.read_percentage: is not a known field");
}

TEST_CASE("strategy: shares become parts per million, nobody and everybody exactly") {
  const auto share = [](double percentage) {
    return std::get<Canary>(to_strategy(CanarySpec{.read_percentage = percentage}, {})).read_share;
  };
  CHECK(share(0) == 0);
  CHECK(share(1) == kWhole);
  CHECK(share(0.05) == 50'000);
  CHECK(share(0.25) == 250'000);
  CHECK(share(0.1 + 0.2) == 300'000);
  CHECK(share(0.29) == 290'000);  // 0.29 * 1e6 is a little less in binary
  CHECK(share(0.999999) == 999'999);
}

TEST_CASE("strategy: complete means that no request can be answered by old") {
  const auto whole = [](const StrategySpec& spec) { return everything_on_new(spec, {}); };
  CHECK(whole(strategy(R"({"type":"big_bang"})")));
  CHECK(whole(strategy(R"({"type":"canary","read_percentage":1})")));
  CHECK(whole(strategy(
      R"({"type":"canary","read_percentage":1,"write_mode":{"mode":"cutover","write_percentage":1}})")));
  CHECK_FALSE(whole(strategy(
      R"({"type":"canary","read_percentage":1,"write_mode":{"mode":"cutover","write_percentage":0.99}})")));
  CHECK_FALSE(whole(
      strategy(R"({"type":"canary","read_percentage":1,"write_mode":{"mode":"dual_write"}})")));
  CHECK_FALSE(whole(strategy(R"({"type":"canary","read_percentage":0.5})")));
  CHECK(whole(strategy(R"({"type":"blue_green","active_is_new":true})")));
  CHECK_FALSE(whole(strategy(R"({"type":"blue_green"})")));
  CHECK_FALSE(whole(strategy(R"({"type":"shadow_traffic"})")));
  CHECK_FALSE(whole(strategy(R"({"type":"strangler_fig","features":{"a":true}})")));
  const auto flagged = [&](const char* members) {
    return whole(
        strategy(R"({"type":"feature_flag","rollout_percentage":)" + std::string(members) + "}"));
  };
  CHECK(flagged(R"(1,"flags":{"a":true})"));
  CHECK_FALSE(flagged(R"(0.99,"flags":{"a":true})"));
  CHECK_FALSE(flagged(R"(1,"flags":{"a":false})"));
  CHECK_FALSE(flagged(R"(1,"flags":{"a":true},"write_mode":{"mode":"dual_write"})"));
  CHECK(flagged(R"(1,"flags":{"a":true},"write_mode":{"mode":"cutover","write_percentage":1})"));
}

}  // namespace crossfade
