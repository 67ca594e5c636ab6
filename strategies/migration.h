// The migration as the request path sees it: a strategy in force, and the one function that plans.
//
// A migration that is not in force (pending, ready, rolled back) does not appear here: its interlay
// then has none, and everything goes to old.
//
// Every strategy takes a write mode; without one writes follow reads.
#pragma once

#include <optional>
#include <variant>

#include "strategies/plan.h"
#include "strategies/policy.h"

namespace crossfade {

// old until the migration executes; this type stands for "executed": everything goes to new.
struct BigBang {
  std::optional<WriteMode> write_mode = {};

  bool operator==(const BigBang&) const = default;
};

// What a canary's read share is a share of.
enum class SplitBy : std::uint8_t {
  Key,      // Redis; PostgreSQL, which has no keys, takes the session for one
  User,     // as whom a client has logged in
  Session,  // a connection
  Request   // each for itself; Redis
};

// A stable slice of the key space reads from new; see canary.cc for the numbered cases.
struct Canary {
  std::uint32_t read_share = 0;         // parts per million
  std::optional<WriteMode> write_mode;  // nullopt: writes follow reads (a cutover at read_share)
  SplitBy split_by = SplitBy::Key;      // by others only where writes are not split
  bool part = false;  // there are keys beyond: even a share of the whole leaves them on old

  bool operator==(const Canary&) const = default;
};

// Everything on the active side.
struct BlueGreen {
  bool active_is_new = false;
  std::optional<WriteMode> write_mode = {};

  bool operator==(const BlueGreen&) const = default;
};

// old answers; new gets copies.
struct ShadowTraffic {
  bool writes = true;  // false: only what writes nothing, as something else feeds new
  std::uint32_t sample_share = kWhole;  // of the line, parts per million; the rest is not copied
  // A dual write that old decides, or none: then writes are copied, and may be dropped, as reads.
  std::optional<WriteMode> write_mode = {};

  bool operator==(const ShadowTraffic&) const = default;
};

// Sidecar by sidecar; this is what the list of those that have gone means to one of them.
struct RollingUpdate {
  bool here_migrated = false;
  std::optional<WriteMode> write_mode = {};

  bool operator==(const RollingUpdate&) const = default;
};

// Region by region; this is what the list of those that have gone means to one client, by where it
// is (networks.h), or else by where its sidecar is.
struct Geographic {
  bool region_migrated = false;
  std::optional<WriteMode> write_mode = {};

  bool operator==(const Geographic&) const = default;
};

// old before the window; new once executed. When that is due others know.
struct TimeWindow {
  bool executed = false;
  std::optional<WriteMode> write_mode = {};  // from the execution on

  bool operator==(const TimeWindow&) const = default;
};

using Strategy =
    std::variant<BigBang, Canary, BlueGreen, ShadowTraffic, RollingUpdate, Geographic, TimeWindow>;

Plan plan_big_bang(const BigBang& big_bang, const Facts& request);
Plan plan_canary(const Canary& canary, const Facts& request);
Plan plan_blue_green(const BlueGreen& blue_green, const Facts& request);
Plan plan_shadow_traffic(const ShadowTraffic& shadow, const Facts& request);
Plan plan_rolling_update(const RollingUpdate& rolling, const Facts& request);
Plan plan_geographic(const Geographic& geographic, const Facts& request);
Plan plan_time_window(const TimeWindow& window, const Facts& request);

// Where one request goes. One that stays is read from old, whatever the strategy says; what is
// written to both sides is so whoever it belongs to, as others may read the same keys from new.
Plan plan(const Strategy& strategy, const Facts& request);

// The strategy where only some keys take part, and their writes go where their reads do: the others
// are beyond any share. Only for what is neither a dual write nor shadow_traffic, split by key.
Canary of_part(const Strategy& strategy);

// The side that judges logins and answers what belongs to no key: PING, INFO, SCAN, SUBSCRIBE, …
// new once nothing is left on old, else old.
Side home(const Strategy& strategy);

// The side whose outcome counts for writes that go to both, or nothing where none does.
std::optional<Side> dual_write_authority(const Strategy& strategy);

// True when keys are split between two histories, so that a transaction's side is not known before
// its first key (a cutover strictly between nobody and everybody).
bool splits_writes(const Strategy& strategy);

// Whose bucket Facts::caller_bucket has to be; Key: nobody's.
SplitBy split_by(const Strategy& strategy);

}  // namespace crossfade
