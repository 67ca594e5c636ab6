// The migration as the request path sees it: a strategy in force, and the one function that plans.
//
// A migration that is not in force (pending, ready, rolled back) does not appear here: its interlay
// then has none, and everything goes to old.
#pragma once

#include <optional>
#include <variant>

#include "strategies/plan.h"
#include "strategies/policy.h"

namespace crossfade {

// old until the migration executes; this type stands for "executed": everything goes to new.
struct BigBang {
  bool operator==(const BigBang&) const = default;
};

// A stable slice of the key space reads from new; see canary.cc for the numbered cases.
struct Canary {
  std::uint32_t read_share = 0;         // parts per million
  std::optional<WriteMode> write_mode;  // nullopt: writes follow reads (a cutover at read_share)

  bool operator==(const Canary&) const = default;
};

// Everything on the active side.
struct BlueGreen {
  bool active_is_new = false;

  bool operator==(const BlueGreen&) const = default;
};

// old answers; new gets copies.
struct ShadowTraffic {
  bool writes = true;  // false: only what writes nothing, as something else feeds new
  std::uint32_t sample_share = kWhole;  // of the line, parts per million; the rest is not copied

  bool operator==(const ShadowTraffic&) const = default;
};

using Strategy = std::variant<BigBang, Canary, BlueGreen, ShadowTraffic>;

Plan plan_big_bang(const BigBang& big_bang, const Facts& request);
Plan plan_canary(const Canary& canary, const Facts& request);
Plan plan_blue_green(const BlueGreen& blue_green, const Facts& request);
Plan plan_shadow_traffic(const ShadowTraffic& shadow, const Facts& request);

// Where one request goes.
Plan plan(const Strategy& strategy, const Facts& request);

// The side that judges logins and answers what belongs to no key: PING, INFO, SCAN, SUBSCRIBE, …
// new once nothing is left on old, else old.
Side home(const Strategy& strategy);

// The side whose outcome counts for writes that go to both, or nothing where none does.
std::optional<Side> dual_write_authority(const Strategy& strategy);

// True when keys are split between two histories, so that a transaction's side is not known before
// its first key (a cutover strictly between nobody and everybody).
bool splits_writes(const Strategy& strategy);

}  // namespace crossfade
