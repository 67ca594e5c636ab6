// The strategy of a migration as the operator writes it: shares are fractions, as in the API.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "control/definitions/regions.h"
#include "control/definitions/write_mode.h"
#include "control/json/value.h"
#include "protocols/base/result.h"
#include "strategies/migration.h"
#include "strategies/policy.h"

namespace crossfade {

inline constexpr std::size_t kInstanceMax = 256;  // bytes of an instance's id, or a shard's

// Which sidecar this is, of those that carry out the same migration; and where one of its interlays
// is meant, what stands behind that.
struct Self {
  std::string instance = {};  // --instance
  std::string region = {};    // --region; empty: none
  std::string shard = {};     // of the interlay's endpoint; empty: none
};

// Each has a write_mode; nullopt: writes follow reads.
struct BigBangSpec {
  bool durability = true;  // `test` refuses a new side that does not persist
  std::optional<WriteModeSpec> write_mode = {};

  bool operator==(const BigBangSpec&) const = default;
};

// By itself the share of reads goes up, step by step.
struct RampSpec {
  std::vector<double> steps;  // shares, rising
  std::uint32_t hold_s = 1;   // how long each is held before the next

  bool operator==(const RampSpec&) const = default;
};

struct CanarySpec {
  double read_percentage = 0;  // 0..1
  std::optional<WriteModeSpec> write_mode = {};
  std::optional<SplitBy> split_by = {};  // nullopt: by key; PostgreSQL by session
  std::optional<RampSpec> ramp = {};

  bool operator==(const CanarySpec&) const = default;
};

struct BlueGreenSpec {
  bool active_is_new = false;
  std::optional<WriteModeSpec> write_mode = {};

  bool operator==(const BlueGreenSpec&) const = default;
};

struct ShadowTrafficSpec {
  bool shadow_writes = true;     // PostgreSQL
  double sample_percentage = 1;  // PostgreSQL; 0..1, of sessions
  std::optional<WriteModeSpec> write_mode = {};

  bool operator==(const ShadowTrafficSpec&) const = default;
};

struct RollingUpdateSpec {
  std::vector<std::string> migrated_instances;  // sidecars and shards, each once
  std::uint32_t total_instances = 1;            // at least as many
  std::optional<WriteModeSpec> write_mode = {};

  bool operator==(const RollingUpdateSpec&) const = default;
};

// Things that are named, each true or false.
using Switches = std::map<std::string, bool, std::less<>>;

struct GeographicSpec {
  Switches regions;  // whether each has gone to new
  std::optional<WriteModeSpec> write_mode = {};

  // A region that is not listed has not gone; the empty one is none.
  bool migrated(std::string_view region) const;
  bool operator==(const GeographicSpec&) const = default;
};

struct TimeWindowSpec {
  std::int64_t window_start = 0;  // Unix time, seconds
  std::int64_t window_end = 0;    // later
  bool executed = false;          // the sidecar's to say
  std::optional<WriteModeSpec> write_mode = {};

  bool operator==(const TimeWindowSpec&) const = default;
};

struct StranglerFigSpec {
  Switches features;  // apis by id or uuid: whether each has gone to new
  std::optional<WriteModeSpec> write_mode = {};

  bool operator==(const StranglerFigSpec&) const = default;
};

struct FeatureFlagSpec {
  Switches flags;  // whether each is enabled; what it governs is in control/features.h
  double rollout_percentage = 0;  // 0..1, of users
  std::optional<WriteModeSpec> write_mode = {};

  bool operator==(const FeatureFlagSpec&) const = default;
};

using StrategySpec =
    std::variant<BigBangSpec, CanarySpec, BlueGreenSpec, ShadowTrafficSpec, RollingUpdateSpec,
                 GeographicSpec, TimeWindowSpec, StranglerFigSpec, FeatureFlagSpec>;

// Reads a strategy object; null is the default, big_bang.
//   errors  BadInput: "strategy.read_percentage: must be a number from 0 to 1"; for a type that is
//           none, the mission's words "Migration strategy not yet implemented"
Result<StrategySpec> read_strategy(const Json& strategy, const std::string& path);

// Merges `given` into `current`: with the same type, or none, only the members that are given
// change (write_mode as a whole when its mode changes; null takes it away); another type replaces
// everything.
//   errors  as above
Result<StrategySpec> patch_strategy(const StrategySpec& current, const Json& given,
                                    const std::string& path);

// As the API shows it.
Json render(const StrategySpec& strategy);
const char* type_of(const StrategySpec& strategy);  // "canary"

const std::optional<WriteModeSpec>& write_mode_of(const StrategySpec& strategy);

// As the request path of that sidecar takes it; shares become parts per million, rounded to the
// nearest. Of a feature_flag as if it governed all that it is asked of, and told users by their
// keys.
Strategy to_strategy(const StrategySpec& strategy, const Self& self);

// As it will be when all that it does by itself is done: a time_window is executed.
StrategySpec foreseen(StrategySpec strategy);

// Executed in one instant, with tests before it: no PATCH stands in for that while it routes.
bool is_executed(const StrategySpec& strategy);

// The networks of an interlay, and whether each one's region has gone; without geographic none.
std::vector<RegionNetwork> networks_of(const StrategySpec& strategy, const Regions& regions);

// What is wrong with a strategy that is well-formed: some clients would not read what they wrote.
// `test` says so, and it is started, or patched in while it routes, by force only.
std::optional<std::string> history_objection(const StrategySpec& strategy);

// True when, in force, it writes to both sides: a time_window once it is executed.
bool dual_writes(const StrategySpec& strategy);

// True when it sends what it moves to new with its writes, and to new alone.
bool moves_writes(const StrategySpec& strategy);

// How its dual writes reach the other side; nullopt: it does none.
std::optional<Engine> engine_of(const StrategySpec& strategy);

// The side that is right while its writes go to both; nullopt: they do not. Alike for every
// sidecar.
std::optional<Side> authority_of(const StrategySpec& strategy);

// True when no request can be answered by old, here or at another sidecar, so that a migration may
// be called complete.
bool everything_on_new(const StrategySpec& strategy, const Self& self);

}  // namespace crossfade
